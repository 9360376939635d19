// The benchmark's course: which rows, and where the answers go. What is measured is in rows/, against whom in peers/, how in harness/,
// what is made of the answers in report/; what the words of the command line mean in src/cli/bench.ts.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BenchOptions } from "../src/cli/bench.js";
import { Budget } from "./harness/budget.js";
import { notesOn, watchConditions } from "./harness/conditions.js";
import { formatName } from "./harness/format.js";
import { describeMachine, machineLines } from "./harness/machine.js";
import { progressLine } from "./harness/progress.js";
import { carillonVersion, FORMAT, FORMAT_VERSION, type Report, type ReportRow, reportRow } from "./harness/report.js";
import type { Answered, Row } from "./harness/row.js";
import { table } from "./harness/table.js";
import { judge, verdictLines } from "./harness/verdict.js";
import { comparedWith, compareRow, regressions } from "./report/compare.js";
import { openOutputs } from "./report/outputs.js";
import { comparisonHead, comparisonLines, conditionsOf, introduction } from "./report/prose.js";
import { type OldReport, readOld, readReport } from "./report/read.js";
import { rows } from "./rows/index.js";
import { targets } from "./targets/index.js";

const ROUNDS = 15;
const ROUNDS_QUICK = 5;
const BATCH_NS = 40e6;
const BATCH_QUICK_NS = 20e6;
/** The exit code of who was interrupted, by a shell's custom. */
const INTERRUPTED = 130;

/** @returns the exit code */
export async function bench(options: BenchOptions): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "carillon-bench-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  // exit handlers end the processes under measurement, too
  process.once("SIGTERM", () => process.exit(143));
  const interruption = new Interruption();

  const chosen = choose(rows(folder), options);
  if (options.list) {
    process.stdout.write(chosen.map(({ id }) => `${id}\n`).join(""));
    return chosen.length > 0 ? 0 : refuse(`no row is called so; carillon bench --list names them`);
  }
  let earlier: Report | undefined;
  let old: OldReport | undefined;
  let outputs: ReturnType<typeof openOutputs>;
  try {
    earlier = options.from === undefined ? undefined : readReport(options.from);
    old = options.compare === undefined ? undefined : readOld(options.compare);
    if (earlier === undefined && chosen.length === 0) {
      throw new Error(
        `no such row; there are\n${rows(folder)
          .map(({ id }) => id)
          .join("\n")}`,
      );
    }
    outputs = openOutputs(options); // now, not after minutes of measuring
  } catch (error) {
    return refuse((error as Error).message);
  }

  const out = options.json === "-" ? process.stderr : process.stdout;
  const say = (lines: readonly string[]) => out.write(lines.map((line) => `${line}\n`).join(""));
  const show = (row: ReportRow) => say([table(row, out.isTTY === true && out.hasColors()), ""]);
  const head = (report: Report) => {
    const compared = old ? { comparedWith: comparedWith(report, old) } : report;
    say([introduction(report), ...machineLines(report.machine), ...comparisonHead(compared), ""]);
  };
  const then = old;
  const compare = (row: ReportRow): ReportRow => (then ? compareRow(row, then) : row);

  let report: Report;
  if (earlier) {
    report = { ...earlier, rows: earlier.rows.map(compare) };
    head(report);
    for (const row of report.rows) show(row);
  } else {
    report = await measure(chosen, options, folder, interruption, head, (row) => {
      const compared = compare(row);
      show(compared);
      return compared;
    });
  }
  if (old) report = { ...report, comparedWith: comparedWith(report, old) };

  const { verdicts } = report;
  if (verdicts.length > 0) say(["Targets", ...verdictLines(verdicts)]);
  say([...conditionsOf(report), ...comparisonLines(report).slice(comparisonHead(report).length)]);
  await outputs.write(report);
  if (report.interrupted) process.exit(INTERRUPTED); // what was being measured would go on
  const failed = verdicts.some(({ met }) => met !== true) || regressions(report.rows).length > 0;
  return options.strict && failed ? 1 : 0;
}

/** The rows that are asked for; in a quick run the short ones, unless only long ones are. */
function choose(all: readonly Row[], { only, quick }: BenchOptions): readonly Row[] {
  // What cannot be written as JSON is a mistake in a row, found before it has been measured.
  for (const { columns } of all) for (const { format } of columns) formatName(format);
  const patterns = only.map(toPattern);
  const asked = patterns.length === 0 ? all : all.filter(({ id }) => patterns.some((pattern) => pattern.test(id)));
  const short = quick ? asked.filter((row) => !row.thorough) : asked;
  return short.length > 0 ? short : asked;
}

/** @param print shows a row, and gives back what is shown */
async function measure(
  chosen: readonly Row[],
  { quick, rounds = quick ? ROUNDS_QUICK : ROUNDS }: BenchOptions,
  folder: string,
  interruption: Interruption,
  begin: (report: Report) => void,
  print: (row: ReportRow) => ReportRow,
): Promise<Report> {
  const started = Date.now();
  const empty: Report = {
    format: FORMAT,
    formatVersion: FORMAT_VERSION,
    carillon: carillonVersion(),
    startedAt: new Date(started).toISOString(),
    durationSeconds: 0,
    quick,
    rounds,
    machine: describeMachine(),
    leftOut: [],
    rows: [],
    verdicts: [],
  };
  begin(empty);
  const budget = new Budget(quick);
  const progress = progressLine(process.stderr);
  const answers: Answered[] = [];
  const leftOut: string[] = [];
  const measured: ReportRow[] = [];
  const ordered = budget.order(chosen);
  for (const [i, row] of ordered.entries()) {
    if (!budget.fits(row)) {
      leftOut.push(row.id);
      continue;
    }
    progress.row(i + 1, ordered.length, row.title, budget.secondsFor(ordered.slice(i)));
    const conditions = watchConditions();
    const rowStarted = performance.now();
    const batchNs = quick ? BATCH_QUICK_NS : BATCH_NS;
    const results = await interruption.unless(row.run({ quick, rounds, batchNs, folder, progress: progress.detail }));
    if (results === undefined) {
      leftOut.push(...ordered.slice(i).map(({ id }) => id));
      break;
    }
    budget.measured(row, (performance.now() - rowStarted) / 1e3);
    progress.clear();
    const found = conditions();
    answers.push({ row, results });
    measured.push(print(reportRow({ row, results }, found, notesOn(row, empty.machine, found))));
  }
  progress.clear();
  const durationSeconds = (Date.now() - started) / 1e3;
  const interrupted = interruption.happened ? { interrupted: true } : {};
  return { ...empty, durationSeconds, leftOut, ...interrupted, rows: measured, verdicts: judge(targets, answers) };
}

/** SIGINT ends the process; while rows are measured it ends that, so that what is known is shown and written. The next one ends the process. */
class Interruption {
  happened = false;
  #interrupt: (() => void) | undefined;

  constructor() {
    process.on("SIGINT", () => {
      if (this.#interrupt === undefined || this.happened) process.exit(INTERRUPTED);
      this.happened = true;
      this.#interrupt();
    });
  }

  /** Its value, or undefined: interrupted. */
  async unless<T>(measuring: Promise<T>): Promise<T | undefined> {
    const interrupted = new Promise<undefined>((resolve) => {
      this.#interrupt = () => resolve(undefined);
    });
    const value = await Promise.race([measuring, interrupted]);
    this.#interrupt = undefined;
    return this.happened ? undefined : value;
  }
}

function refuse(reason: string): number {
  process.stderr.write(`carillon: ${reason}\n`);
  return 2;
}

/** Contains, with * for anything. */
function toPattern(pattern: string): RegExp {
  return new RegExp(
    pattern
      .split("*")
      .map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, "\\$&"))
      .join(".*"),
  );
}
