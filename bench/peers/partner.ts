// How an initiator starts the process it talks to, pinned where the harness wants it (BENCH_PARTNER_CPU), and ends
// with it.
import type { ChildProcess } from "node:child_process";
import { onCpu } from "../harness/placement.js";

/** The words that run a Node.js program of this folder as the partner. */
export function partnerCommand(program: string, args: readonly string[]): [string, ...string[]] {
  const cpu = process.env.BENCH_PARTNER_CPU;
  const words = onCpu(cpu ? Number(cpu) : undefined, [process.execPath, program, ...args]);
  return words as [string, ...string[]];
}

/** An initiator whose partner has failed would wait for ever. */
export function endWith(partner: ChildProcess): ChildProcess {
  return partner.on("exit", (code) => process.exit(code || 1));
}
