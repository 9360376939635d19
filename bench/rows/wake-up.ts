// How soon a consumer runs that sleeps when a message comes, by kind of consumer, beside what that is made of (the bell that wakes a thread's
// loop, a hop from thread to thread) and what else wakes threads. All in one run, in turn.
import { integer, microseconds } from "../harness/format.js";
import type { Peer, Session } from "../harness/peer.js";
import { pinMainThreads, threadsApart } from "../harness/placement.js";
import type { LineProcess } from "../harness/process.js";
import type { Context, Result, Row } from "../harness/row.js";
import { distribution, median } from "../harness/stats.js";
import { type Ranks, startRanks } from "../peers/carillon.js";
import type { Way } from "../peers/wake-program.js";

const WAYS: Readonly<Record<Way, string>> = {
  idle: "carillon, take() in a worker, the queue's maker asleep in its loop",
  computing: "carillon, take() in a worker, the queue's maker computes",
  takeAsync: "carillon, takeAsync() in a worker (Atomics.waitAsync)",
  bell: "carillon, await recv, asleep in its loop",
  worker: "carillon, await recv in a worker, asleep in its loop",
  subscribe: "carillon, world.messages().subscribe",
  iterate: "carillon, for await of world.messages()",
  pool: "carillon, a task of a pool's idle thread",
  hop: "Atomics.notify → Atomics.wait, two threads",
  hopAsync: "Atomics.notify → Atomics.waitAsync, two threads",
  port: "MessagePort.postMessage, two threads",
};
/** Its worker joins, so that every bell finds two loops: it has ranks of its own, and the others do not have that worker. */
const ALONE: Way = "worker";

const PASSES = 40;
const PASSES_QUICK = 15;
const WARM_UP_PASSES = 30;

export const wakePeer = (way: Way): string => `wake-${way}`;

/** One that can be asked for wake-ups. */
interface Sleeper {
  readonly peer: string;
  readonly name: string;
  /** Each pass's time. */
  wake(count: number): Promise<readonly number[]>;
}

/** @param others peers in C that know the workload "wake" */
export function wakeUp(others: readonly Peer[]): Row {
  const placement = threadsApart();
  return {
    id: `queue-wake/${placement.id}`,
    title: "A message to a consumer that sleeps, by kind",
    about: `${placement.description}; from before \`send\` in another process (two threads: before the store, or postMessage) until the woken consumer runs, everybody asleep before`,
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
      const started: { stop(): Promise<void> }[] = [];
      const pairs = new Map<boolean, Promise<Ranks>>();
      const pair = (alone: boolean): Promise<Ranks> => {
        const known = pairs.get(alone) ?? startPair();
        pairs.set(alone, known);
        return known;
      };
      async function startPair(): Promise<Ranks> {
        const ranks = startRanks({ size: 2, wait: "adaptive", program: "wake-program.js", placement });
        started.push(ranks);
        await (ranks.processes[1] as LineProcess).line();
        pinMainThreads(
          placement,
          ranks.processes.map((process) => process.pid),
        );
        return ranks;
      }
      async function startOther(peer: Peer): Promise<Session> {
        const session = await peer.start(placement);
        started.push(session);
        return session;
      }
      const sessions = new Map<Peer, Promise<Session>>();
      const sleepers: Sleeper[] = [
        ...(Object.keys(WAYS) as Way[]).map((way) => ({
          peer: wakePeer(way),
          name: WAYS[way],
          async wake(count: number) {
            const sender = (await pair(way === ALONE)).processes[1] as LineProcess;
            return JSON.parse(await sender.ask(`wake ${way} ${count}`)) as number[];
          },
        })),
        ...others.map((peer) => ({
          peer: peer.id,
          name: peer.name,
          async wake(count: number) {
            const session = sessions.get(peer) ?? startOther(peer);
            sessions.set(peer, session);
            return (await (await session).measure({ workload: "wake", mode: "each", count })).each;
          },
        })),
      ];
      const turns = sleepers.map((sleeper) => new WakeTurn(sleeper, placement.unavailable));
      try {
        for (const turn of turns) {
          context.progress(`warming up ${turn.sleeper.name}`);
          await turn.wake(WARM_UP_PASSES, false);
        }
        for (let round = 1; round <= context.rounds; round++) {
          context.progress(`round ${round} of ${context.rounds}`);
          for (const turn of turns) await turn.wake(context.quick ? PASSES_QUICK : PASSES, true);
        }
        return turns.map((turn) => turn.result(placement.note));
      } finally {
        await Promise.all(started.map((each) => each.stop()));
      }
    },
  };
}

/** One sleeper's way through the row: what it measured, or why it could not. */
class WakeTurn {
  readonly #rounds: (readonly number[])[] = [];
  #unavailable: string | undefined;

  constructor(
    readonly sleeper: Sleeper,
    unavailable: string | undefined,
  ) {
    this.#unavailable = unavailable;
  }

  async wake(count: number, counts: boolean): Promise<void> {
    if (this.#unavailable !== undefined) return;
    try {
      const times = await this.sleeper.wake(count);
      if (counts) this.#rounds.push(times);
    } catch (error) {
      this.#unavailable = (error as Error).message;
    }
  }

  result(note: string | undefined): Result {
    const { peer, name } = this.sleeper;
    if (this.#unavailable !== undefined) return { peer, name, unavailable: this.#unavailable };
    const passes = this.#rounds.flat();
    const { median: medianNs, p10: p10Ns, p90: p90Ns, p99: p99Ns, max: maxNs } = distribution(passes);
    const counts = { passes: passes.length, rounds: this.#rounds.length };
    return {
      peer,
      name,
      values: { medianNs, p10Ns, p90Ns, p99Ns, maxNs, ...counts },
      rounds: this.#rounds.map(median),
      ...(note ? { note } : {}),
    };
  }
}
