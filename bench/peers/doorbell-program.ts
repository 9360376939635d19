// Two ranks that show what a doorbell is worth, rank 0 the initiator. Which one is in their environment. `pingpong:BYTES`: there and
// back, both awaiting. `answer:BYTES`: to a receiver that computes in JavaScript with its receives posted; each send is synchronous,
// so that it settles when native code has matched the message (and fetched its body). `react-STATE:BYTES`: likewise, each alone, to a
// receiver that is idle or computes.
import { type Message, type Request, World } from "carillon";
import { bytesOf, checkMark, checkStep, mark } from "./payload.js";
import { onCommand, serve } from "./serve.js";

const ORDER = 0;
const ECHO = 1;
const ARMED = 2;
const BODY = 3;
const STOP = 4;
const COMPUTES_MOST_MS = 50_000;
/** About: the pauses between messages whose receiver shall have nothing left to do (bench/native/reaction.c has the same). */
const PAUSE_MS = 0.1;
const PAUSE_STEPS = 8;

interface Order {
  readonly echo: boolean;
  readonly computes: boolean;
  readonly bytes: number;
  readonly count: number;
}

const world = await World.join();
/** By size: every batch uses the same memory. */
const memories = new Map<number, Uint8Array>();

if (world.rank === 0) {
  serve({
    async passes(workload, count, times) {
      const bytes = bytesOf(workload);
      if (workload.startsWith("pingpong:")) return pingPong(bytes, count, times);
      const pauses = workload.startsWith("react-");
      return answered(bytes, count, times, !workload.startsWith("react-idle:"), pauses);
    },
  });
} else {
  onCommand(async () => {}); // the end of stdin ends this rank, too
  await partner();
}

async function pingPong(bytes: number, count: number, times: Float64Array | undefined): Promise<void> {
  await world.send({ echo: true, computes: false, bytes, count } satisfies Order, { dest: 1, tag: ORDER });
  const body = new Uint8Array(new SharedArrayBuffer(bytes));
  const into = memory(bytes);
  for (let i = 0; i < count; i++) {
    mark(body, i);
    const start = performance.now();
    const answer = world.recv({ source: 1, tag: ECHO, into });
    await world.send(body, { dest: 1, tag: ECHO });
    await answer;
    if (times) times[i] = performance.now() - start;
    checkMark(into, bytes, i);
  }
}

async function answered(
  bytes: number,
  count: number,
  times: Float64Array | undefined,
  computes: boolean,
  pauses: boolean,
): Promise<void> {
  await world.send({ echo: false, computes, bytes, count } satisfies Order, { dest: 1, tag: ORDER });
  await world.recv({ source: 1, tag: ARMED });
  const body = memory(bytes);
  for (let i = 0; i < count; i++) {
    if (bytes > 0) mark(body, i);
    if (pauses) pause(i);
    const start = performance.now();
    await world.send(body, { dest: 1, tag: BODY, synchronous: true });
    if (times) times[i] = performance.now() - start;
  }
  if (computes) await world.send(Uint8Array.of(1), { dest: 1, tag: STOP, synchronous: true });
}

/** Awake, so that nothing but the receiver has to be woken; not always of one length. */
function pause(i: number): void {
  const until = performance.now() + PAUSE_MS / 2 + (PAUSE_MS / PAUSE_STEPS) * (i % PAUSE_STEPS);
  while (performance.now() < until);
}

async function partner(): Promise<never> {
  for (;;) {
    const { echo, computes, bytes, count } = (await world.recv<Order>({ source: 0, tag: ORDER })).value;
    const into = memory(bytes);
    if (echo) {
      for (let i = 0; i < count; i++) {
        await world.recv({ source: 0, tag: ECHO, into });
        await world.send(into, { dest: 0, tag: ECHO });
      }
      continue;
    }
    const told = new Uint8Array(new SharedArrayBuffer(1));
    const stop = computes ? world.recv({ source: 0, tag: STOP, into: told }) : undefined;
    const posted: Request<Message>[] = [];
    while (posted.length < count) posted.push(world.recv({ source: 0, tag: BODY, into }));
    await world.send(null, { dest: 0, tag: ARMED });
    if (computes) computeUntil(told);
    for (const request of posted) checkStep(bytes, (await request).byteLength);
    if (bytes > 0) checkMark(into, bytes, count - 1);
    await stop;
  }
}

/** Nothing of Node.js runs meanwhile: it is native code that hears of the end, and writes it to `told`. */
function computeUntil(told: Uint8Array): void {
  const late = performance.now() + COMPUTES_MOST_MS;
  for (let x = 1; Atomics.load(told, 0) === 0; ) {
    for (let i = 0; i < 1e3; i++) x = Math.sqrt(x + i);
    if (performance.now() > late) throw new Error("messages wait until the receiver has computed");
  }
}

function memory(bytes: number): Uint8Array {
  const known = memories.get(bytes) ?? new Uint8Array(new SharedArrayBuffer(bytes)).fill(1);
  memories.set(bytes, known);
  return known;
}
