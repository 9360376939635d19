// A Session over the line protocol: `rate|each WORKLOAD COUNT` is answered by `TOTAL_NS [NS NS …]`, after a first line
// `ready [PID …]` that names the processes the initiator has started itself. C and Node.js programs speak it alike.
import type { Batch, Sample, Session } from "./peer.js";
import type { LineProcess } from "./process.js";

/** @param processes the initiator first; all of them are the harness's own children */
export async function openSession(
  processes: readonly [LineProcess, ...LineProcess[]],
  cleanup = () => {},
): Promise<Session> {
  const [initiator] = processes;
  async function stop(): Promise<void> {
    await Promise.all(processes.map((process) => process.stop()));
    cleanup();
  }
  try {
    const [word, ...started] = (await initiator.line()).split(" ");
    if (word !== "ready") throw new Error(`did not say "ready" but "${word}"`);
    return {
      pids: [...processes.map((process) => process.pid), ...started.map(Number)],
      measure: (batch) => measure(initiator, batch),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function measure(initiator: LineProcess, { workload, mode, count }: Batch): Promise<Sample> {
  const answer = (await initiator.ask(`${mode} ${workload} ${count}`)).split(" ").map(Number);
  const [nanoseconds, ...each] = answer;
  if (
    nanoseconds === undefined ||
    answer.some((number) => !(number >= 0)) ||
    (mode === "each" && each.length !== count)
  ) {
    throw new Error("answered with something that is no measurement");
  }
  return { nanoseconds, count, each };
}
