// A row's answers as a table: names left, numbers right, the ratio beside the headline, reasons where there is no number.
import { ratio } from "./format.js";
import type { Answered, Result } from "./row.js";

const CARILLON = "carillon-adaptive";

/** What the ratios are made of: what the row names, Carillon as it is by default, or the fastest that ran. */
export function reference({ row, results }: Answered): Result | undefined {
  const present = results.filter((result) => result.values !== undefined);
  const named = present.find((result) => result.peer === (row.reference?.peer ?? CARILLON));
  return named ?? present.toSorted((a, b) => headline(row, a) - headline(row, b))[0];
}

/** How many times the reference's headline this one is. */
export function ratioOf(answered: Answered, result: Result): number | undefined {
  const base = reference(answered);
  return base && result.values ? headline(answered.row, result) / headline(answered.row, base) : undefined;
}

export function table(answered: Answered, colours: boolean): string {
  const { row, results } = answered;
  const bold = (text: string) => (colours ? `\u001b[1m${text}\u001b[22m` : text);
  const dim = (text: string) => (colours ? `\u001b[2m${text}\u001b[22m` : text);
  const base = reference(answered);
  const lines = [bold(row.title), dim(row.about)];
  if (base === undefined && new Set(results.map((result) => result.unavailable)).size === 1) {
    return [...lines, `  not measured: ${results[0]?.unavailable ?? "no peer"}`].join("\n");
  }
  const nameWidth = Math.max(...results.map((result) => result.name.length), 4);
  const [first, ...rest] = row.columns;
  const titles = [
    first?.title ?? "",
    `× ${base?.peer === (row.reference?.peer ?? CARILLON) ? (row.reference?.title ?? "carillon") : "fastest"}`,
    ...rest.map((column) => column.title),
  ];
  const cells = results.map((result) => {
    const { values } = result;
    if (values === undefined) return undefined;
    const [one, ...others] = row.columns.map((column) => column.format(values[column.key] ?? Number.NaN));
    return [one ?? "", ratio(ratioOf(answered, result) ?? Number.NaN), ...others];
  });
  const widths = titles.map((title, i) => Math.max(title.length, ...cells.map((cell) => cell?.[i]?.length ?? 0)));
  lines.push(dim(`  ${"".padEnd(nameWidth)}  ${titles.map((title, i) => title.padStart(widths[i] ?? 0)).join("  ")}`));
  results.forEach((result, i) => {
    const name = result.name.padEnd(nameWidth);
    const numbers = cells[i]?.map((cell, j) => cell.padStart(widths[j] ?? 0)).join("  ");
    const text = numbers ?? `not measured: ${result.unavailable}`;
    lines.push(`  ${name}  ${text}${result.note ? dim(`  ${result.note}`) : ""}`);
  });
  return lines.join("\n");
}

function headline(row: Answered["row"], result: Result): number {
  return result.values?.[row.headline] ?? Number.NaN;
}
