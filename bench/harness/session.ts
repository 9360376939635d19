// A Session over the line protocol: `rate|each WORKLOAD COUNT` is answered by `TOTAL_NS [NS NS …]`, after a first line
// `ready [PID …] [threads TID TID]` that names the processes the initiator has started itself, and who talks, unless it is the last two of all
// processes. C and Node.js programs speak it alike. `remark`, where a program knows it, is answered by a line for readers.
import type { Batch, Sample, Session } from "./peer.js";
import type { LineProcess } from "./process.js";

/**
 * @param processes the initiator first; all of them are the harness's own children
 * @param options `remarks`: the program knows that word
 */
export async function openSession(
  processes: readonly [LineProcess, ...LineProcess[]],
  { cleanup = () => {}, remarks = false } = {},
): Promise<Session> {
  const [initiator] = processes;
  async function stop(): Promise<void> {
    await Promise.all(processes.map((process) => process.stop()));
    cleanup();
  }
  try {
    const [word, ...words] = (await initiator.line()).split(" ");
    if (word !== "ready") throw new Error(`did not say "ready" but "${word}"`);
    const end = words.includes("threads") ? words.indexOf("threads") : words.length;
    const pids = [...processes.map((process) => process.pid), ...words.slice(0, end).map(Number)];
    const threads = words.slice(end + 1).map(Number);
    return {
      pids,
      talkers: threads.length > 0 ? threads : pids.slice(-2),
      measure: (batch) => measure(initiator, batch),
      ...(remarks ? { remark: async () => (await initiator.ask("remark")) || undefined } : {}),
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
