// Two ranks that hand leases over: rank 0 allocates and sends, rank 1 receives, looks at both ends of the memory and gives it
// back. `lease BYTES COUNT` is answered with the times of each pass, in nanoseconds.
import { type Communicator, type Message, World } from "carillon";
import { native } from "../../src/native.js";
import { checkMark, mark } from "./payload.js";
import { answer, onCommand } from "./serve.js";

/** What this build may not have yet. */
interface Leasing {
  allocate(bytes: number): { readonly data: Uint8Array };
}
type Releasable = Message & { release?(): void };

/** Each pass of a batch, in nanoseconds. */
export interface LeaseTimes {
  /** From before `send` to after `await recv`, on the clock both share, less `wrap`. */
  readonly handOver: number[];
  /** Native code makes the receiver's ArrayBuffer. */
  readonly wrap: number[];
  /** `world.allocate` of memory that came back: it was released before the answer was sent. */
  readonly allocate: number[];
  /** `message.release`. */
  readonly release: number[];
}

interface Received {
  at: number;
  wrap: number;
  release: number;
}

const LEASE = 0;
const RECEIVED = 1;
const world = (await World.join()) as Communicator & Partial<Leasing>;

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
  const times: LeaseTimes = { handOver: [], wrap: [], allocate: [], release: [] };
  for (let i = 0; i < count; i++) {
    const start = now();
    const lease = allocate(bytes);
    times.allocate.push(now() - start);
    mark(lease.data, i);
    await world.send(i, { dest: 1, tag: LEASE });
    const sentAt = now();
    await world.send(lease, { dest: 1, tag: LEASE });
    const { at, wrap, release } = (await world.recv<Received>({ source: 1, tag: RECEIVED })).value;
    times.handOver.push(at - sentAt - wrap);
    times.wrap.push(wrap);
    times.release.push(release);
  }
  return times;
}

async function partner(): Promise<never> {
  const wrapping = timeWrapping();
  for (;;) {
    const i = (await world.recv<number>({ source: 0, tag: LEASE })).value;
    const message: Releasable = await world.recv({ source: 0, tag: LEASE });
    const at = now();
    checkMark(message.data, message.byteLength, i);
    const start = now();
    message.release?.();
    const release = now() - start;
    await world.send({ at, wrap: wrapping(), release } satisfies Received, { dest: 0, tag: RECEIVED });
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

/** The clock that both processes share (CLOCK_MONOTONIC), in nanoseconds. */
function now(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e9 + nanoseconds;
}
