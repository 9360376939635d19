// How soon a thread that is blocked in a message queue's `take()` runs when a message comes, beside what that is made of: the bell
// that wakes a thread's loop, and a hop from thread to thread by Atomics.notify. All in one pair of ranks, in turn.
import { integer, microseconds } from "../harness/format.js";
import { pinMainThreads, threadsApart } from "../harness/placement.js";
import type { LineProcess } from "../harness/process.js";
import type { Context, Result, Row } from "../harness/row.js";
import { distribution, median } from "../harness/stats.js";
import { startRanks } from "../peers/carillon.js";

const WAYS = {
  idle: "carillon, take(), the queue's maker asleep in its loop",
  computing: "carillon, take(), the queue's maker computes",
  bell: "carillon, await recv, asleep in its loop",
  hop: "Atomics.notify → Atomics.wait, two threads",
} as const;
type Way = keyof typeof WAYS;

const PASSES = 60;
const WARM_UP_PASSES = 30;

export const wakePeer = (way: Way): string => `wake-${way}`;

export function queueWake(): Row {
  const placement = threadsApart();
  return {
    id: `queue-wake/${placement.id}`,
    title: "A message to a thread blocked in take()",
    about: `${placement.description}; from before \`send\` in another process (hop: before the store) until the woken thread runs, everybody asleep before`,
    placement,
    columns: [
      { key: "medianNs", title: "median µs", format: microseconds },
      { key: "p10Ns", title: "p10", format: microseconds },
      { key: "p90Ns", title: "p90", format: microseconds },
      { key: "p99Ns", title: "p99", format: microseconds },
      { key: "passes", title: "passes", format: integer },
    ],
    headline: "medianNs",
    reference: { peer: wakePeer("idle"), title: "take()" },
    async run(context: Context): Promise<Result[]> {
      const ways = Object.keys(WAYS) as Way[];
      const rounds = ways.map((): number[][] => []);
      let ranks: ReturnType<typeof startRanks> | undefined;
      try {
        if (placement.unavailable !== undefined) throw new Error(placement.unavailable);
        ranks = startRanks({ size: 2, wait: "adaptive", program: "queue-wake-program.js", placement });
        const sender = ranks.processes[1] as LineProcess;
        await sender.line();
        pinMainThreads(
          placement,
          ranks.processes.map((process) => process.pid),
        );
        const ask = async (way: Way, count: number): Promise<number[]> =>
          JSON.parse(await sender.ask(`wake ${way} ${count}`));
        for (const way of ways) await ask(way, WARM_UP_PASSES);
        for (let round = 1; round <= context.rounds; round++) {
          context.progress(`round ${round} of ${context.rounds}`);
          for (const [i, way] of ways.entries()) rounds[i]?.push(await ask(way, PASSES));
        }
      } catch (error) {
        return ways.map((way) => ({ peer: wakePeer(way), name: WAYS[way], unavailable: (error as Error).message }));
      } finally {
        await ranks?.stop();
      }
      return ways.map((way, i) => result(way, rounds[i] ?? []));
    },
  };
}

function result(way: Way, rounds: readonly number[][]): Result {
  const passes = rounds.flat();
  const { median: middle, p10, p90, p99, max } = distribution(passes);
  const values = { medianNs: middle, p10Ns: p10, p90Ns: p90, p99Ns: p99, maxNs: max, passes: passes.length };
  return { peer: wakePeer(way), name: WAYS[way], values, rounds: rounds.map(median) };
}
