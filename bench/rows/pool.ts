// What messages take from a pool of threads that compute: its throughput while another rank sends at a steady pace, over that without.
import { integer, share, significant } from "../harness/format.js";
import { allowedCpus } from "../harness/placement.js";
import type { LineProcess } from "../harness/process.js";
import type { Context, Result, Row } from "../harness/row.js";
import { distribution, median } from "../harness/stats.js";
import { startRanks } from "../peers/carillon.js";
import { FLOW } from "../peers/payload.js";
import type { PoolBatch } from "../peers/pool-program.js";

export const POOL_ROW = "pool-throughput";
/** So much of the flow must have come. */
const ARRIVED = 0.9;

export interface PoolPeer {
  readonly peer: string;
  readonly name: string;
  readonly threads: number;
}

/** The sender and what is not the pool have a processor, or have to take from the pool what they need. */
export function poolPeers(): PoolPeer[] {
  const all = allowedCpus().length;
  const spare = { peer: "pool-spare", name: `${all - 1} computing, one processor spare`, threads: all - 1 };
  return [
    ...(all > 1 ? [spare] : []),
    { peer: "pool-all", name: `${all} computing, as many as processors`, threads: all },
  ];
}

export const pool: Row = {
  id: POOL_ROW,
  title: "A pool of threads that compute, while messages come and while none do",
  about: `tasks of 4 ms; to the pool's rank meanwhile ${FLOW.shortPerSecond} messages of 64 B (a stream's subscriber) and ${FLOW.longPerSecond} of 1 MiB a second (into shared memory); batches of 0.5 s without, with, with, without; ratio: throughput with over without, median of rounds; nothing pinned`,
  columns: [
    { key: "ratio", title: "ratio", format: share },
    { key: "ratioP10", title: "p10", format: share },
    { key: "ratioP90", title: "p90", format: share },
    { key: "tasksPerSecond", title: "tasks/s with", format: integer },
    { key: "shortPerSecond", title: "64 B/s", format: integer },
    { key: "longPerSecond", title: "1 MiB/s", format: significant },
    { key: "senderPercent", title: "sender's CPU %", format: significant },
  ],
  headline: "slowdown",
  thorough: true,
  reference: { peer: "pool-all", title: "all" },
  async run(context) {
    const results: Result[] = [];
    for (const peer of poolPeers()) {
      try {
        results.push(await measure(peer, context));
      } catch (error) {
        results.push({ ...peer, unavailable: (error as Error).message });
      }
    }
    return results;
  },
};

async function measure({ peer, name, threads }: PoolPeer, context: Context): Promise<Result> {
  const ranks = startRanks({ size: 2, wait: "adaptive", program: "pool-program.js" });
  try {
    await Promise.all(ranks.processes.map((process) => process.line()));
    const receiver = ranks.processes[1] as LineProcess;
    const batch = async (flow: "on" | "off"): Promise<PoolBatch> =>
      JSON.parse(await receiver.ask(`batch ${threads} ${flow}`));
    await batch("off");
    const ratios: number[] = [];
    const busy: PoolBatch[] = [];
    for (let round = 1; round <= context.rounds; round++) {
      context.progress(`${threads} threads, round ${round} of ${context.rounds}`);
      const [before, first, second, after] = [
        await batch("off"),
        await batch("on"),
        await batch("on"),
        await batch("off"),
      ];
      busy.push(first, second);
      ratios.push((first.tasksPerSecond + second.tasksPerSecond) / (before.tasksPerSecond + after.tasksPerSecond));
    }
    const middle = (key: keyof PoolBatch) => median(busy.map((each) => each[key]));
    const [short, long] = [middle("shortPerSecond"), middle("longPerSecond")];
    if (short < ARRIVED * FLOW.shortPerSecond || long < ARRIVED * FLOW.longPerSecond) {
      throw new Error(`of the flow only ${integer(short)} short and ${significant(long)} long messages a second came`);
    }
    const ratio = distribution(ratios);
    return {
      peer,
      name,
      values: {
        ratio: ratio.median,
        ratioP10: ratio.p10,
        ratioP90: ratio.p90,
        slowdown: 1 / ratio.median,
        tasksPerSecond: middle("tasksPerSecond"),
        shortPerSecond: short,
        longPerSecond: long,
        senderPercent: middle("senderPercent"),
        threads,
        rounds: context.rounds,
      },
      rounds: ratios.map((each) => 1 / each),
    };
  } finally {
    await ranks.stop();
  }
}
