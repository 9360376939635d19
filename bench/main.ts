// The benchmark's course: which rows, how long, and where the answers go. What is measured is in rows/, against
// whom in peers/, how in harness/; what the words of the command line mean in src/cli/bench.ts.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BenchOptions } from "../src/cli/bench.js";
import { describeMachine, machineLines } from "./harness/machine.js";
import { progressLine } from "./harness/progress.js";
import { carillonVersion, report } from "./harness/report.js";
import type { Answered, Row } from "./harness/row.js";
import { table } from "./harness/table.js";
import { judge, verdictLines } from "./harness/verdict.js";
import { rows } from "./rows/index.js";
import { targets } from "./targets/index.js";

const ROUNDS = 15;
const ROUNDS_QUICK = 5;
const BATCH_NS = 40e6;
const BATCH_QUICK_NS = 20e6;

/** @returns the exit code */
export async function bench(options: BenchOptions): Promise<number> {
  const { quick, rounds = quick ? ROUNDS_QUICK : ROUNDS } = options;
  const folder = mkdtempSync(join(tmpdir(), "carillon-bench-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  // exit handlers end the processes under measurement, too
  process.once("SIGINT", () => process.exit(130)).once("SIGTERM", () => process.exit(143));

  const only = (options.only.length > 0 ? options.only : ["*"]).map(toPattern);
  const asked = rows(folder).filter((row) => only.some((pattern) => pattern.test(row.id)));
  const short = quick ? asked.filter((row) => !row.thorough) : asked;
  const chosen = short.length > 0 ? short : asked;
  if (options.list || chosen.length === 0) {
    const ids = (options.list ? chosen : rows(folder)).map((row) => row.id).join("\n");
    (options.list ? process.stdout : process.stderr).write(
      options.list ? `${ids}\n` : `carillon: no such row; there are\n${ids}\n`,
    );
    return options.list ? 0 : 2;
  }

  const { json } = options;
  if (json !== undefined && json !== "-") {
    try {
      writeFileSync(json, ""); // now, not after minutes of measuring
    } catch (error) {
      process.stderr.write(`carillon: ${json} cannot be written: ${(error as Error).message}\n`);
      return 2;
    }
  }

  const out = json === "-" ? process.stderr : process.stdout;
  const started = Date.now();
  const machine = describeMachine();
  out.write(`carillon ${carillonVersion()} bench: ${rounds} rounds${quick ? ", quick" : ""}, peers in turn\n`);
  out.write(`${machineLines(machine).join("\n")}\n\n`);

  const answers = await measure(chosen, { quick, rounds, folder }, (answered) => {
    out.write(`${table(answered, out.isTTY === true && out.hasColors())}\n\n`);
  });
  const verdicts = judge(targets, answers);
  if (verdicts.length > 0) out.write(`Targets\n${verdictLines(verdicts).join("\n")}\n`);

  if (json !== undefined) {
    const durationSeconds = (Date.now() - started) / 1e3;
    const run = { startedAt: new Date(started).toISOString(), durationSeconds, quick, rounds, machine };
    const text = report(run, answers, verdicts);
    if (json === "-") process.stdout.write(text);
    else writeFileSync(json, text);
  }
  return options.strict && verdicts.some(({ met }) => met !== true) ? 1 : 0;
}

async function measure(
  chosen: readonly Row[],
  settings: { quick: boolean; rounds: number; folder: string },
  print: (answered: Answered) => void,
): Promise<Answered[]> {
  const progress = progressLine(process.stderr);
  const batchNs = settings.quick ? BATCH_QUICK_NS : BATCH_NS;
  const answers: Answered[] = [];
  for (const [i, row] of chosen.entries()) {
    progress.row(i + 1, chosen.length, row.title);
    const results = await row.run({ ...settings, batchNs, progress: progress.detail });
    progress.clear();
    answers.push({ row, results });
    print({ row, results });
  }
  return answers;
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
