// Two ranks, and threads of the first that are woken one message at a time, each after a pause in which everybody sleeps: how long from
// before `send` in rank 1 until the consumer runs. `wake WAY COUNT` is answered, by rank 1, with nanoseconds. WAY: "idle" and "computing", a
// consumer in `take()` while the thread that made the queue sleeps in its loop, or computes; "bell", that thread awaits a
// receive; "hop", the same thread wakes a worker by Atomics.notify, and no message is part of it.
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { MessageQueue, World } from "carillon";
import { now } from "./clock.js";
import { answer, onCommand } from "./serve.js";

const ORDER = 0;
const QUEUED = 1;
const AWAITED = 2;
const PAUSE_MS = 2;
/** A computation begins this long before a message is sent, and goes on for as long after it. */
const COMPUTE_NS = 3e6;

interface Order {
  readonly way: string;
  readonly count: number;
}

/** What the hop's waker and its worker share: a word that counts, and when the last wake-up began. */
interface Hop {
  readonly word: Int32Array;
  readonly start: Float64Array;
}

if (isMainThread) {
  const world = await World.join();
  await (world.rank === 0 ? receiver(world) : sender(world));
} else {
  consume();
}

/** Tells the main thread of each wake-up how long it took. */
function consume(): void {
  const { buffer, word, start } = workerData as Hop & { buffer?: SharedArrayBuffer };
  if (buffer) {
    const queue = MessageQueue.from<number>(buffer);
    for (let message = queue.take(); message; message = queue.take()) parentPort?.postMessage(now() - message.value);
    return;
  }
  for (let last = 0; ; last++) {
    Atomics.wait(word, 0, last);
    parentPort?.postMessage(now() - (start[0] as number));
  }
}

async function startConsumer(workerData: object): Promise<Worker> {
  const worker = new Worker(new URL(import.meta.url), { workerData });
  await once(worker, "online");
  return worker;
}

async function receiver(world: World): Promise<void> {
  onCommand(async () => {}); // the end of stdin ends this rank, too
  const hop: Hop = {
    word: new Int32Array(new SharedArrayBuffer(4)),
    start: new Float64Array(new SharedArrayBuffer(8)),
  };
  const consumer = await startConsumer({ buffer: world.queue({ source: 1, tag: QUEUED }).buffer });
  const hopper = await startConsumer(hop);
  for (;;) {
    const { way, count } = (await world.recv<Order>({ source: 1, tag: ORDER })).value;
    const times: number[] = [];
    for (let i = 0; i < count; i++) {
      await world.send(i, { dest: 1, tag: ORDER });
      if (way === "bell") {
        const { value } = await world.recv<number>({ source: 1, tag: AWAITED });
        times.push(now() - value);
        continue;
      }
      const woken = once(way === "hop" ? hopper : consumer, "message");
      if (way === "hop") {
        await pause(PAUSE_MS);
        hop.start[0] = now();
        Atomics.add(hop.word, 0, 1);
        Atomics.notify(hop.word, 0);
      } else if (way === "computing") {
        for (const end = now() + 2 * COMPUTE_NS; now() < end; );
      }
      times.push((await woken)[0]);
    }
    await world.send(times, { dest: 1, tag: ORDER });
  }
}

async function sender(world: World): Promise<void> {
  answer("ready");
  onCommand(async ([, way = "", number]) => {
    const count = Number(number);
    await world.send({ way, count } satisfies Order, { dest: 0, tag: ORDER });
    for (let i = 0; i < count; i++) {
      await world.recv({ source: 0, tag: ORDER });
      if (way === "hop") continue;
      await pause(PAUSE_MS);
      for (const end = now() + (way === "computing" ? COMPUTE_NS - PAUSE_MS * 1e6 : 0); now() < end; );
      await world.send(now(), { dest: 0, tag: way === "bell" ? AWAITED : QUEUED });
    }
    answer(JSON.stringify((await world.recv<number[]>({ source: 0, tag: ORDER })).value));
  });
}
