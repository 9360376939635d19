// How late a message is when its receiver's JavaScript computes for a second: a 1 MiB rendezvous into memory posted
// before, timed by the sender. In a timer callback; and in a socket callback, where the message and the data of another
// socket arrive together, so that the receiver's loop may have been woken for both and runs the other one first.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { integer, milliseconds } from "../harness/format.js";
import { type Placement, placed } from "../harness/placement.js";
import { LineProcess } from "../harness/process.js";
import type { Context, Result, Row } from "../harness/row.js";
import { distribution } from "../harness/stats.js";
import { startRanks, type Wait, waitName } from "../peers/carillon.js";

type Where = "timer" | "socket";

interface Pair {
  readonly sender: LineProcess;
  readonly receiver: LineProcess;
  stop(): Promise<void>;
}

interface Contestant {
  readonly id: string;
  readonly name: string;
  start(placement: Placement, context: Context): Promise<Pair>;
}

const PROGRAM = "reaction-program.js";
const REPETITIONS_QUICK = 2;
/**
 * How a message and a nudge meet, one after the other: what goes first, how much later the rest follows, and whether the
 * receiver has just been chatting (and so may be awake in its adaptive wait). Each hits another moment of its loop.
 */
const MEETINGS = [
  "quiet nudge 0",
  "chat message 0",
  "chat nudge 20000",
  "quiet nudge 60000",
  "chat nudge 0",
  "chat nudge 100000",
] as const;
let started = 0;

export function reaction(where: Where, placement: Placement): Row {
  return {
    id: `reaction-${where}/${placement.id}`,
    title: `1 MiB to a receiver that computes in a ${where} callback, ${placement.id}`,
    about: `${placement.description}; \`await send\` while the receiver's JavaScript computes for 1 s`,
    placement,
    columns: [
      { key: "medianNs", title: "median ms", format: milliseconds },
      { key: "maxNs", title: "max", format: milliseconds },
      { key: "passes", title: "passes", format: integer },
      { key: "duringComputation", title: "still computing", format: integer },
    ],
    headline: "medianNs",
    async run(context) {
      // Quick: what a user gets by default, beside the socket that shows what it would be otherwise.
      const waits: readonly Wait[] = context.quick ? ["adaptive"] : ["adaptive", "block"];
      const contestants = [...waits.map(overCarillon), overSocket].map((contestant) => new Turn(contestant));
      const repetitions = context.quick ? REPETITIONS_QUICK : MEETINGS.length;
      try {
        await Promise.all(contestants.map((turn) => turn.start(placement, context)));
        for (let i = 0; i < repetitions; i++) {
          context.progress(`${i + 1} of ${repetitions}`);
          for (const turn of contestants) await turn.measure(where, i);
        }
        return contestants.map((turn) => turn.result());
      } finally {
        await Promise.all(contestants.map((turn) => turn.pair?.stop()));
      }
    },
  };
}

/** One contestant's way through a row: what it measured, or why it could not. */
class Turn {
  pair: Pair | undefined;
  readonly #times: number[] = [];
  #during = 0;
  #unavailable: string | undefined;

  constructor(readonly contestant: Contestant) {}

  start(placement: Placement, context: Context): Promise<void> {
    return this.#attempt(async () => {
      if (placement.unavailable !== undefined) throw new Error(placement.unavailable);
      this.pair = await this.contestant.start(placement, context);
    });
  }

  measure(where: Where, i: number): Promise<void> {
    return this.#attempt(async () => {
      // A second each: the socket's figure is known after one.
      if (this.contestant === overSocket && i > 0) return;
      const { nanoseconds, during } = await (where === "timer" ? inTimer : inSocket)(this.pair as Pair, i);
      this.#times.push(nanoseconds);
      if (during) this.#during++;
    });
  }

  result(): Result {
    const { id: peer, name } = this.contestant;
    if (this.#unavailable !== undefined) return { peer, name, unavailable: this.#unavailable };
    const { median, p10, p90, p99, max } = distribution(this.#times);
    const values = { medianNs: median, p10Ns: p10, p90Ns: p90, p99Ns: p99, maxNs: max };
    const counts = { rounds: this.#times.length, passes: this.#times.length, duringComputation: this.#during };
    return { peer, name, values: { ...values, ...counts }, rounds: this.#times };
  }

  async #attempt(step: () => Promise<void>): Promise<void> {
    if (this.#unavailable !== undefined) return;
    try {
      await step();
    } catch (error) {
      this.#unavailable = (error as Error).message;
    }
  }
}

interface Once {
  readonly nanoseconds: number;
  /** The receiver had begun to compute, and had not ended, when the sender was told: the message got through meanwhile. */
  readonly during: boolean;
}

async function inTimer({ sender, receiver }: Pair, i: number): Promise<Once> {
  await receiver.ask(`timer ${i}`); // answers when it has begun to compute
  return once(await sender.ask(`send ${i}`), await receiver.line());
}

async function inSocket({ sender, receiver }: Pair, i: number): Promise<Once> {
  await receiver.ask(`socket ${i}`);
  return once(await sender.ask(`send ${i} ${MEETINGS[i % MEETINGS.length]}`), await receiver.line());
}

function once(sent: string, computed: string): Once {
  const [sendStart = 0, sendEnd = 0] = sent.split(" ").map(Number);
  const [computeStart = 0, computeEnd = 0] = computed.split(" ").map(Number);
  return { nanoseconds: sendEnd - sendStart, during: sendEnd > computeStart && sendEnd < computeEnd };
}

function overCarillon(wait: Wait): Contestant {
  return {
    id: `carillon-${wait}`,
    name: waitName(wait),
    async start(placement, context) {
      const env = { BENCH_LINK: "carillon", BENCH_NUDGE: join(context.folder, `nudge-${started++}`) };
      const ranks = startRanks({ size: 2, wait, program: PROGRAM, placement, env, roles: ["sender", "receiver"] });
      const [sender, receiver] = ranks.processes as [LineProcess, LineProcess];
      return ready({ sender, receiver, stop: ranks.stop });
    },
  };
}

const overSocket: Contestant = {
  id: "unix-socket",
  name: "UNIX socket (net)",
  async start(placement, context) {
    const path = fileURLToPath(new URL(`../peers/${PROGRAM}`, import.meta.url));
    const number = started++;
    const env = {
      BENCH_LINK: "socket",
      BENCH_NUDGE: join(context.folder, `nudge-${number}`),
      BENCH_LINK_PATH: join(context.folder, `link-${number}`),
    };
    const start = (index: 0 | 1, role: string) =>
      new LineProcess(placed(placement, index, [process.execPath, path]), { env: { ...env, BENCH_ROLE: role } });
    const receiver = start(1, "receiver");
    await receiver.line(); // listening
    const sender = start(0, "sender");
    const stop = async () => {
      await Promise.all([sender.stop(), receiver.stop()]);
    };
    return ready({ sender, receiver, stop });
  },
};

/** The receiver listens for the sender's nudges before the sender connects. */
async function ready(pair: Pair): Promise<Pair> {
  try {
    await pair.receiver.line();
    await pair.sender.ask("connect");
    return pair;
  } catch (error) {
    await pair.stop();
    throw error;
  }
}
