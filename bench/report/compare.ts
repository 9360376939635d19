// An older run beside this one: each row's headline then and now. A change is said only where the rounds of both runs tell them
// apart: by the Mann-Whitney rank test (exact, two-sided), which for five rounds each asks that all of one are above all of the
// other. Not responsible for reading files (read.ts) nor for showing (harness/table.ts, html.ts).
import type { Before, ComparedWith, Report, ReportResult, ReportRow } from "../harness/report.js";
import type { OldReport } from "./read.js";

/** In one of a hundred comparisons of equals a change is said that is none. */
export const SIGNIFICANCE = 0.01;
/** With --strict, more than this is an error. */
export const TOLERATED = 1.1;

/** The row with what it was. */
export function compareRow(row: ReportRow, old: OldReport): ReportRow {
  const before = old.rows.find(({ id }) => id === row.id);
  if (before === undefined) return row;
  const gone = before.results.filter(({ peer }) => !row.results.some((result) => result.peer === peer));
  return {
    ...row,
    gone: gone.map(({ name }) => name),
    results: row.results.map((result) => {
      const then = before.results.find(({ peer }) => peer === result.peer);
      return { ...result, before: compared(result, then, before.headline === row.headline ? row.headline : "") };
    }),
  };
}

/** What else has changed between the runs, and which rows only one of them has. */
export function comparedWith(now: Report, old: OldReport): ComparedWith {
  const ids = new Set(now.rows.map(({ id }) => id));
  const before = new Set(old.rows.map(({ id }) => id));
  return {
    startedAt: old.startedAt,
    carillon: old.carillon,
    differences: differences(now, old),
    rowsGone: [...before].filter((id) => !ids.has(id)),
    rowsNew: [...ids].filter((id) => !before.has(id)),
  };
}

export function differences(now: Pick<Report, "machine" | "quick" | "rounds">, old: OldReport): string[] {
  const shown = (value: unknown) => (value === undefined ? "none" : String(value));
  const said: string[] = [];
  const differ = (what: string, is: unknown, was: unknown) => {
    if (shown(is) !== shown(was)) said.push(`${what}: ${shown(is)}, then ${shown(was)}`);
  };
  const [m, o] = [now.machine, old.machine];
  differ("processor", m.cpu, o.cpu);
  differ("usable CPUs", m.usable, o.usable);
  differ("limit of CPU time", m.quotaCpus, o.quotaCpus);
  differ("architecture", m.arch, o.arch);
  differ("hypervisor", m.virtualised, o.virtualised);
  differ("kernel", m.kernel, o.kernel);
  differ("Node.js", m.node, o.node);
  differ("quick", now.quick, old.quick);
  return said;
}

/** Everything that the rounds tell apart, of all rows. */
export function changes(rows: readonly ReportRow[]): { row: ReportRow; result: ReportResult; before: Before }[] {
  return rows.flatMap((row) =>
    row.results.flatMap((result) => {
      const { before } = result;
      return before?.change === "slower" || before?.change === "faster" ? [{ row, result, before }] : [];
    }),
  );
}

/** Slower, and by more than is tolerated. */
export function regressions(rows: readonly ReportRow[]): ReturnType<typeof changes> {
  return changes(rows).filter(({ before }) => before.change === "slower" && (before.ratio ?? 0) > TOLERATED);
}

function compared(result: ReportResult, then: ReportResult | undefined, headline: string): Before {
  if (then === undefined) return { change: "new" };
  const [now, value] = [result.values?.[headline], then.values?.[headline]];
  if (typeof value !== "number") return { change: "untested" };
  if (typeof now !== "number") return { value, change: "untested" };
  const ratio = now / value;
  const rounds = [result.rounds, then.rounds].map((each) => each ?? []) as [number[], number[]];
  // Some rows' rounds are of something else than the headline, or there are none.
  const tell = isOf(rounds[0], now) && isOf(rounds[1], value);
  if (!tell) return { value, ratio, change: "untested" };
  const p = mannWhitney(...rounds);
  return { value, ratio, p, change: p > SIGNIFICANCE ? "same" : ratio > 1 ? "slower" : "faster" };
}

function isOf(rounds: readonly number[], headline: number): boolean {
  return rounds.length > 1 && Math.min(...rounds) <= headline && headline <= Math.max(...rounds);
}

/** Two-sided probability that samples of the same distribution are apart at least so far; exact without ties, cautious with. */
export function mannWhitney(a: readonly number[], b: readonly number[]): number {
  let u = 0;
  for (const x of a) for (const y of b) u += x > y ? 1 : x === y ? 0.5 : 0;
  const extreme = Math.ceil(Math.min(u, a.length * b.length - u));
  const ways = waysOf(a.length, b.length);
  const total = ways.reduce((sum, each) => sum + each, 0);
  const tail = ways.slice(0, extreme + 1).reduce((sum, each) => sum + each, 0);
  return Math.min(1, (2 * tail) / total);
}

/** In how many orders of m and n values the first exceed the second in u pairs, by u. */
function waysOf(m: number, n: number): number[] {
  // Gaussian binomial coefficient: the product of (1 - q^(n + i)) / (1 - q^i) for i = 1 … m.
  let ways = [1];
  for (let i = 1; i <= m; i++) {
    const product = Array.from({ length: ways.length + n + i }, (_, u) => (ways[u] ?? 0) - (ways[u - n - i] ?? 0));
    for (let u = i; u < product.length; u++) product[u] = (product[u] as number) + (product[u - i] as number);
    ways = product.slice(0, i * n + 1);
  }
  return ways;
}
