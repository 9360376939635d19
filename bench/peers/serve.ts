// The initiator's side of the line protocol (harness/session.ts) in Node.js: reads commands, runs batches, answers.
// Quiet between commands. Ends when its stdin does, so that nothing survives the harness.
import { createInterface } from "node:readline";
import type { Workload } from "../harness/peer.js";

export interface Initiator {
  /**
   * Does `count` passes; when `times` is given, notes how long each one took, in milliseconds. The loop belongs to the
   * peer, so that no extra function or Promise stands between the clock and what is measured.
   */
  passes(workload: Workload, count: number, times: Float64Array | undefined): Promise<void>;
  /** What a reader should know of how this peer did it, one line; nothing: "". */
  remark?(): string;
}

/**
 * @param pids processes that this one has started itself
 * @param threads the numbers of the two threads that talk, where those are not main threads of processes
 */
export function serve(initiator: Initiator, pids: readonly number[] = [], threads: readonly number[] = []): void {
  answer(["ready", ...pids, ...(threads.length > 0 ? ["threads", ...threads] : [])].join(" "));
  onCommand(async ([mode, workload, number]) => {
    if (mode === "remark") return answer(initiator.remark?.() ?? "");
    const count = Number(number);
    const times = mode === "each" ? new Float64Array(count) : undefined;
    const started = performance.now();
    await initiator.passes(workload as Workload, count, times);
    const total = performance.now() - started;
    answer([total, ...(times ?? [])].map((ms) => Math.round(ms * 1e6)).join(" "));
  });
}

/** One command at a time; what it throws is told to the harness. */
export function onCommand(run: (words: string[]) => Promise<void>): void {
  const lines = createInterface({ input: process.stdin });
  lines.on("line", (line) => {
    run(line.split(" ")).catch((error: Error) => answer(`failed ${error.message.replaceAll("\n", " ")}`));
  });
  lines.on("close", () => process.exit(0));
}

export function answer(line: string): void {
  process.stdout.write(`${line}\n`);
}
