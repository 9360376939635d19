// What a run has found, in the form that JSON has: tables, pictures and comparisons are made of this and nothing else, so that
// an old file shows all that was seen when it was written. Its fields are described in docs/benchmarks.md.
// Not responsible for reading files (report/read.ts).
import { readFileSync } from "node:fs";
import type { Conditions } from "./conditions.js";
import { type FormatName, formatName } from "./format.js";
import type { Machine } from "./machine.js";
import type { Placement } from "./placement.js";
import type { Answered, Figure, Result, Row } from "./row.js";
import type { Verdict } from "./verdict.js";

export const FORMAT = "carillon-bench";
export const FORMAT_VERSION = 2;

export interface Report {
  readonly format: typeof FORMAT;
  readonly formatVersion: number;
  readonly carillon: string;
  readonly startedAt: string;
  readonly durationSeconds: number;
  readonly quick: boolean;
  readonly rounds: number;
  readonly machine: Machine;
  /** Ids of rows that a quick run had no time for, or that came after it was interrupted. */
  readonly leftOut: readonly string[];
  readonly interrupted?: boolean;
  /** Set by --compare. */
  readonly comparedWith?: ComparedWith;
  readonly rows: readonly ReportRow[];
  readonly verdicts: readonly Verdict[];
}

export interface ReportRow {
  readonly id: string;
  readonly title: string;
  readonly about: string;
  readonly placement?: Placement;
  readonly figure?: Figure;
  readonly columns: readonly { readonly key: string; readonly title: string; readonly format: FormatName }[];
  readonly headline: string;
  /** Whose headline is 1, and what it is called at the head of the column of ratios. */
  readonly reference?: { readonly peer: string; readonly title: string };
  readonly conditions?: Conditions;
  /** What a reader must know about all of its figures. */
  readonly notes: readonly string[];
  readonly results: readonly ReportResult[];
  /** Set by --compare: names of peers that the old run had here and this one has not. */
  readonly gone?: readonly string[];
}

export interface ReportResult extends Omit<Result, "values"> {
  /** Null is what JSON makes of NaN. */
  readonly values?: Readonly<Record<string, number | null>>;
  readonly ratio?: number;
  readonly before?: Before;
}

/** The same figure in an older run. */
export interface Before {
  /** Undefined: there is none, for the reason given. */
  readonly value?: number;
  /** New over old. */
  readonly ratio?: number;
  /** How probable it is that two runs of equal speed differ in their rounds at least so much; undefined if nothing could be tested. */
  readonly p?: number;
  readonly change: "slower" | "faster" | "same" | "untested" | "new";
}

export interface ComparedWith {
  readonly startedAt: string;
  readonly carillon: string;
  /** What else than Carillon has changed since: machine, Node.js, kind of run. */
  readonly differences: readonly string[];
  readonly rowsGone: readonly string[];
  readonly rowsNew: readonly string[];
}

const CARILLON = "carillon-adaptive";

export function reportRow(
  { row, results }: Answered,
  conditions?: Conditions,
  notes: readonly string[] = [],
): ReportRow {
  const base = reference(row, results);
  const named = base?.peer === (row.reference?.peer ?? CARILLON);
  return {
    id: row.id,
    title: row.title,
    about: row.about,
    ...(row.placement ? { placement: row.placement } : {}),
    ...(row.figure ? { figure: row.figure } : {}),
    columns: row.columns.map(({ key, title, format }) => ({ key, title, format: formatName(format) })),
    headline: row.headline,
    ...(base
      ? { reference: { peer: base.peer, title: named ? (row.reference?.title ?? "carillon") : "fastest" } }
      : {}),
    ...(conditions ? { conditions } : {}),
    notes,
    results: results.map((result) =>
      base && result.values ? { ...result, ratio: headline(row, result) / headline(row, base) } : result,
    ),
  };
}

/** What the ratios are made of: what the row names, Carillon as it is by default, or the fastest that ran. */
function reference(row: Row, results: readonly Result[]): Result | undefined {
  const present = results.filter((result) => result.values !== undefined);
  const named = present.find((result) => result.peer === (row.reference?.peer ?? CARILLON));
  return named ?? present.toSorted((a, b) => headline(row, a) - headline(row, b))[0];
}

function headline(row: Row, result: Result): number {
  return result.values?.[row.headline] ?? Number.NaN;
}

/** How many runs its figures are made of: rounds, and passes where single ones are timed. */
export function runsOf({ results }: ReportRow): string {
  const span = (numbers: readonly number[]) => {
    const [least, most] = [Math.min(...numbers), Math.max(...numbers)];
    return least === most ? `${most}` : `${least}–${most}`;
  };
  const rounds = results
    .map(({ values, rounds }) => values?.rounds ?? rounds?.length ?? 0)
    .filter((count) => count > 0);
  const passes = results.map(({ values }) => values?.passes ?? 0).filter((count) => count > 0);
  return [
    ...(rounds.length > 0 ? [`${span(rounds)} round${Math.max(...rounds) === 1 ? "" : "s"}`] : []),
    ...(passes.length > 0 ? [`${span(passes)} single passes of each peer`] : []),
  ].join(", ");
}

export function stringify(report: Report): string {
  return `${JSON.stringify(report, null, 1)}\n`;
}

export function carillonVersion(): string {
  return JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")).version;
}
