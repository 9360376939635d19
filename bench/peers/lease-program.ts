// Two ranks that hand leases over: rank 0 allocates and sends, rank 1 receives, looks at both ends of the memory and gives it
// back. `lease BYTES COUNT` is answered with the times of each pass, in nanoseconds.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { type Communicator, type Message, World } from "carillon";
import { native } from "../../src/native.js";
import { now } from "./clock.js";
import { checkMark, mark } from "./payload.js";
import { answer, onCommand } from "./serve.js";

/** What this build may not have yet. */
interface Leasing {
  allocate(bytes: number): { readonly data: Uint8Array };
}
type Releasable = Message & { release?(): void };

/** Each pass of a batch, in nanoseconds. */
export interface LeaseTimes {
  /** From the loan, in native code, to the receiver's mapping of it, on the clock both share. */
  readonly handOver: number[];
  /** From before `send` to after `await recv`. */
  readonly whole: number[];
  /** Native code makes the receiver's ArrayBuffer. */
  readonly wrap: number[];
  /** `world.allocate` of memory that came back: it was released before the answer was sent. */
  readonly allocate: number[];
  /** `message.release`. */
  readonly release: number[];
}

interface Received {
  mappedAt: number;
  at: number;
  wrap: number;
  release: number;
}

const LEASE = 0;
const RECEIVED = 1;
const AWAKE = 2;
/** A round trip that no wake-up was part of; and how long to try. */
const AWAKE_NS = 15e3;
const AWAKE_MOST_NS = 200e6;
setFlagsFromString("--expose-gc");
/**
 * ArrayBuffers of 64 MiB in all make V8 collect garbage, in steps between the loop's callbacks. That is no part of a native hand-over, but of
 * what JavaScript pays: every other pass is of the one kind, after a collection, the rest of the other.
 */
const collectGarbage: () => void = runInNewContext("gc");
const isAlone = (i: number) => i % 2 === 0;
const world = (await World.join()) as Communicator & Partial<Leasing & Pick<World, "stats">>;

if (world.rank === 0) {
  answer("ready");
  onCommand(async ([, bytes, count]) => {
    if (world.allocate === undefined) throw new Error("not in this build");
    answer(JSON.stringify(await passes(world.allocate.bind(world), Number(bytes), Number(count))));
  });
} else {
  answer("ready");
  onCommand(async () => {}); // the end of stdin ends this rank, too
  await partner();
}

async function passes(allocate: Leasing["allocate"], bytes: number, count: number): Promise<LeaseTimes> {
  const times: LeaseTimes = { handOver: [], whole: [], wrap: [], allocate: [], release: [] };
  for (let i = 0; i < count; i++) {
    const alone = isAlone(i);
    const start = now();
    const lease = allocate(bytes);
    if (!alone) times.allocate.push(now() - start);
    mark(lease.data, i);
    if (alone) collectGarbage();
    await awake();
    await world.send(i, { dest: 1, tag: LEASE });
    await world.recv({ source: 1, tag: RECEIVED });
    const sentAt = now();
    await world.send(lease, { dest: 1, tag: LEASE });
    const { mappedAt, at, wrap, release } = (await world.recv<Received>({ source: 1, tag: RECEIVED })).value;
    if (alone) {
      times.handOver.push(mappedAt - (world.stats?.().leaseLentAtNs ?? Number.NaN));
      continue;
    }
    times.whole.push(at - sentAt);
    times.wrap.push(wrap);
    times.release.push(release);
  }
  return times;
}

/** Talks to the receiver until it waits awake: a wake-up has rows of its own. */
async function awake(): Promise<void> {
  const begin = now();
  for (let last = begin, fast = 0; fast < 3 && last - begin < AWAKE_MOST_NS; ) {
    await world.send(null, { dest: 1, tag: AWAKE });
    await world.recv({ source: 1, tag: AWAKE });
    const time = now();
    fast = time - last < AWAKE_NS ? fast + 1 : 0;
    last = time;
  }
}

async function partner(): Promise<never> {
  const wrapping = timeWrapping();
  for (;;) {
    const first = await world.recv<number | null>({ source: 0 });
    if (first.tag === AWAKE) {
      await first.reply(null);
      continue;
    }
    const i = first.value as number;
    await world.send(i, { dest: 0, tag: RECEIVED });
    const message: Releasable = await world.recv({ source: 0, tag: LEASE });
    const at = now();
    checkMark(message.data, message.byteLength, i);
    const start = now();
    message.release?.();
    const release = now() - start;
    if (isAlone(i + 1)) collectGarbage();
    const mappedAt = world.stats?.().leaseMappedAtNs ?? Number.NaN;
    await world.send({ mappedAt, at, wrap: wrapping(), release } satisfies Received, { dest: 0, tag: RECEIVED });
  }
}

/** How long the last ArrayBuffer over memory of others took to make: that is part of what `recv` does. */
function timeWrapping(): () => number {
  const binding = native();
  const adopt = binding.adopt.bind(binding);
  let last = 0;
  binding.adopt = (index) => {
    const start = now();
    const buffer = adopt(index);
    last = now() - start;
    return buffer;
  };
  return () => last;
}
