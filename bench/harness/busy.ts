// Processors that are kept busy while something is measured, and processes that would keep them busy and are held.
import { fileURLToPath } from "node:url";
import type { Session } from "./peer.js";
import { allowedCpus, onCpu } from "./placement.js";
import { LineProcess } from "./process.js";

/** While `measure` runs, a process pinned to each CPU computes. */
export async function whileAllCompute<T>(measure: () => Promise<T>): Promise<T> {
  const program = fileURLToPath(new URL("../peers/busy-program.js", import.meta.url));
  const busy = allowedCpus().map((cpu) => new LineProcess(onCpu(cpu, [process.execPath, program])));
  try {
    await Promise.all(busy.map((process) => process.line()));
    return await measure();
  } finally {
    await Promise.all(busy.map((process) => process.stop()));
  }
}

/** A session that runs only while it is measured: what it does when it waits would disturb the others. */
export function suspended(session: Session): Session {
  hold(session.pids);
  return {
    pids: session.pids,
    talkers: session.talkers,
    async measure(batch) {
      release(session.pids);
      try {
        return await session.measure(batch);
      } finally {
        hold(session.pids);
      }
    },
    stop() {
      release(session.pids);
      return session.stop();
    },
  };
}

export function hold(pids: readonly number[]): void {
  tell(pids, "SIGSTOP");
}

export function release(pids: readonly number[]): void {
  tell(pids, "SIGCONT");
}

function tell(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // It has ended: its row says so.
    }
  }
}
