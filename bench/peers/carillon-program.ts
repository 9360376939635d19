// Two ranks over Carillon: rank 0 is the initiator, rank 1 sends back every value it gets. Both await everything. Long bytes go from and
// into memory that is used again: SharedArrayBuffers, or what BENCH_MEMORY says.
import { World } from "carillon";
import { type OverlapLink, type OverlapOrder, overlapOrder, overlapPartner, overlapPasses } from "./overlap.js";
import { checkMark, checkStep, echoBytesOf, exchangeOf, MEBIBYTE, mark, REUSE_BYTES } from "./payload.js";
import { type Initiator, onCommand, serve } from "./serve.js";

const ECHO = 0;
const STREAM = 1;
const OVERLAP = 2;
const BODY = 3;
const SIGNAL = 4;
const LONG = 5;
/** By size: every batch uses the same memory. */
const reused = new Map<number, [Uint8Array, Uint8Array]>();
const world = await World.join();

interface Long {
  readonly size: number;
  readonly count: number;
}

if (world.rank === 0) {
  serve(initiator());
} else {
  onCommand(async () => {}); // the end of stdin ends this rank, too
  await partner();
}

function initiator(): Initiator {
  const block = new Uint8Array(MEBIBYTE);

  async function bytes(size: number, count: number, times: Float64Array | undefined): Promise<void> {
    const body = new Uint8Array(size);
    for (let i = 0; i < count; i++) {
      const start = performance.now();
      mark(body, i);
      await world.send(body, { dest: 1 });
      const answer = await world.recv({ source: 1 });
      checkMark(answer.data, size, i);
      if (times) times[i] = performance.now() - start;
    }
  }

  async function longBytes(size: number, count: number, times: Float64Array | undefined): Promise<void> {
    await world.send({ size, count } satisfies Long, { dest: 1, tag: LONG });
    const [body, into] = memories(size);
    for (let i = 0; i < count; i++) {
      const start = performance.now();
      mark(body, i);
      const answer = world.recv({ source: 1, tag: BODY, into });
      await world.send(body, { dest: 1, tag: BODY });
      checkMark((await answer).data, size, i);
      if (times) times[i] = performance.now() - start;
    }
  }

  async function values(workload: string, count: number, times: Float64Array | undefined): Promise<void> {
    const exchange = exchangeOf(workload);
    if (exchange === undefined) throw new Error(`${workload} is nothing that goes there and back`);
    for (let i = 0; i < count; i++) {
      const start = performance.now();
      await world.send(exchange.next(i), { dest: 1 });
      const answer = await world.recv({ source: 1 });
      exchange.check(answer.value, i);
      if (times) times[i] = performance.now() - start;
    }
  }

  async function stream(count: number): Promise<void> {
    await world.send(count, { dest: 1, tag: STREAM });
    for (let i = 0; i < count; i++) {
      block[0] = i & 255;
      await world.send(block, { dest: 1, tag: STREAM });
    }
    checkStep(count, (await world.recv<number>({ source: 1 })).value);
  }

  return {
    async passes(workload, count, times) {
      const order = overlapOrder(workload, count);
      if (order) {
        await world.send(order, { dest: 1, tag: OVERLAP });
        return overlapPasses(overlapLink(1), order, times);
      }
      const size = echoBytesOf(workload);
      if (size !== undefined) return (size > REUSE_BYTES ? longBytes : bytes)(size, count, times);
      return workload === "stream1m" ? stream(count) : values(workload, count, times);
    },
  };
}

async function partner(): Promise<never> {
  const into = new Uint8Array(new SharedArrayBuffer(MEBIBYTE));
  const overlapping = overlapLink(0);
  for (;;) {
    const message = await world.recv({ source: 0 });
    if (message.tag === OVERLAP) {
      await overlapPartner(overlapping, message.value as OverlapOrder);
      continue;
    }
    if (message.tag === LONG) {
      await echoLong(message.value as Long);
      continue;
    }
    if (message.tag === ECHO) {
      await world.send(message.value, { dest: 0 });
      continue;
    }
    const count = message.value as number;
    for (let i = 0; i < count; i++) {
      await world.recv({ source: 0, tag: STREAM, into });
      checkStep(i & 255, into[0]);
    }
    await world.send(count, { dest: 0 });
  }
}

async function echoLong({ size, count }: Long): Promise<void> {
  const [into] = memories(size);
  for (let i = 0; i < count; i++) {
    await world.recv({ source: 0, tag: BODY, into });
    await world.send(into, { dest: 0, tag: BODY });
  }
}

function memories(size: number): [Uint8Array, Uint8Array] {
  const known = reused.get(size) ?? [memory(size).fill(1), memory(size).fill(1)];
  reused.set(size, known);
  return known;
}

function memory(bytes: number): Uint8Array {
  return process.env.BENCH_MEMORY === "allocated"
    ? world.allocate(bytes).data
    : new Uint8Array(new SharedArrayBuffer(bytes));
}

function overlapLink(peer: number): OverlapLink {
  const nothing = new Uint8Array(0);
  return {
    memory,
    send: (body) => world.send(body, { dest: peer, tag: BODY }),
    receive: (into) => world.recv({ source: peer, tag: BODY, into }).then((message) => message.data),
    signal: () => world.send(nothing, { dest: peer, tag: SIGNAL }),
    signalled: () => world.recv({ source: peer, tag: SIGNAL }),
  };
}
