// A row's answers as a table: names left, numbers right, the ratio beside the headline, what it was before, reasons where there is
// no number. Its cells are the HTML report's, too.
import { formatted, ratio } from "./format.js";
import { type ReportResult, type ReportRow, runsOf } from "./report.js";

export interface Table {
  readonly titles: readonly string[];
  readonly lines: readonly TableLine[];
  /** All that ran, or could not, for one and the same reason: there are no lines then. */
  readonly unavailable?: string;
}

export interface TableLine {
  readonly name: string;
  /** Undefined: there are no numbers, for the reason given. */
  readonly cells?: readonly string[];
  readonly unavailable?: string;
  readonly notes: readonly string[];
  readonly change?: NonNullable<ReportResult["before"]>["change"];
}

export function tableOf(row: ReportRow): Table {
  const { columns, results } = row;
  const reasons = new Set(results.map((result) => result.unavailable));
  if (results.every(({ values }) => values === undefined) && reasons.size <= 1) {
    return { titles: [], lines: [], unavailable: results[0]?.unavailable ?? "no peer" };
  }
  const [first, ...rest] = columns;
  const compared = results.some(({ before }) => before !== undefined);
  const headline = columns.find(({ key }) => key === row.headline);
  const before = headline === undefined || headline === first ? "before" : `before: ${headline.title}`;
  const titles = [
    first?.title ?? "",
    `× ${row.reference?.title ?? "fastest"}`,
    ...(compared ? [before, "new/old"] : []),
    ...rest.map(({ title }) => title),
  ];
  return { titles, lines: results.map((result) => line(row, result, compared)) };
}

function line(row: ReportRow, result: ReportResult, compared: boolean): TableLine {
  const { name, values, before } = result;
  const notes = result.note === undefined ? [] : [result.note];
  if (values === undefined) return { name, unavailable: result.unavailable ?? "no reason given", notes };
  const [first = "", ...rest] = row.columns.map(({ key, format }) => formatted(format, values[key]));
  const format = row.columns.find(({ key }) => key === row.headline)?.format ?? "significant";
  const old = compared ? [formatted(format, before?.value), ratio(before?.ratio ?? Number.NaN)] : [];
  return {
    name,
    cells: [first, ratio(result.ratio ?? Number.NaN), ...old, ...rest],
    notes: before ? [...CHANGES[before.change], ...notes] : notes,
    ...(before ? { change: before.change } : {}),
  };
}

const CHANGES: Record<NonNullable<TableLine["change"]>, string[]> = {
  slower: ["slower than before"],
  faster: ["faster than before"],
  new: ["not in the old run"],
  same: [],
  untested: [],
};

/** @param colours whether the stream it is for shows them */
export function table(row: ReportRow, colours: boolean): string {
  const bold = (text: string) => (colours ? `\u001b[1m${text}\u001b[22m` : text);
  const dim = (text: string) => (colours ? `\u001b[2m${text}\u001b[22m` : text);
  const marked = (text: string) => (colours ? `\u001b[33m${text}\u001b[39m` : text);
  const lines = [bold(row.title), dim(row.about), ...row.notes.map((note) => marked(`Note: ${note}`))];
  const { titles, lines: rows, unavailable } = tableOf(row);
  if (unavailable !== undefined) return [...lines, `  not measured: ${unavailable}`].join("\n");
  const runs = runsOf(row);
  const widths = titles.map((title, i) => Math.max(title.length, ...rows.map(({ cells }) => cells?.[i]?.length ?? 0)));
  const nameWidth = Math.max(...rows.map(({ name }) => name.length), runs.length, 4);
  lines.push(
    dim(`  ${runs.padEnd(nameWidth)}  ${titles.map((title, i) => title.padStart(widths[i] ?? 0)).join("  ")}`),
  );
  for (const { name, cells, unavailable, notes, change } of rows) {
    const numbers = cells?.map((cell, j) => cell.padStart(widths[j] ?? 0)).join("  ");
    const said = notes.length === 0 ? "" : `  ${notes.join("; ")}`;
    const shown = change === "slower" || change === "faster" ? marked(said) : dim(said);
    lines.push(`  ${name.padEnd(nameWidth)}  ${numbers ?? `not measured: ${unavailable}`}${shown}`);
  }
  if (row.gone?.length) lines.push(dim(`  in the old run only: ${row.gone.join(", ")}`));
  return lines.join("\n");
}
