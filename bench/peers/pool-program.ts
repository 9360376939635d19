// Two ranks: rank 1 has a pool of threads that compute, rank 0 sends to it meanwhile, at a steady pace, or nothing. `batch THREADS FLOW` to
// rank 1 is answered with a PoolBatch.
import { Message, World } from "carillon";
import { ComputePool } from "carillon/pool";
import { cpuExactNs } from "../harness/cpu.js";
import { iterationsIn } from "./overlap.js";
import { FLOW, SHORT_BYTES } from "./payload.js";
import { answer, onCommand } from "./serve.js";

export interface PoolBatch {
  readonly tasksPerSecond: number;
  /** What rank 1 received meanwhile. */
  readonly shortPerSecond: number;
  readonly longPerSecond: number;
  /** Processor time of rank 0 in percent of one processor. */
  readonly senderPercent: number;
}

const ORDER = 0;
const SHORT = 1;
const LONG = 2;
const STOPPED = 3;
const TASK_NS = 4e6;
const BATCH_NS = 500e6;
const PACE_MS = 5;

const world = await World.join();

if (world.rank === 0) {
  onCommand(async () => {}); // the end of stdin ends this rank, too
  answer("ready");
  await sender();
} else {
  await receiver();
}

/** Sends what is due, every few milliseconds, while it is told to. */
async function sender(): Promise<never> {
  const short = new Uint8Array(SHORT_BYTES);
  const long = new Uint8Array(new SharedArrayBuffer(FLOW.longBytes));
  for (;;) {
    const flows = (await world.recv<boolean>({ source: 1, tag: ORDER })).value;
    const cpuBefore = cpuExactNs(process.pid) ?? Number.NaN;
    const start = performance.now();
    let [shorts, longs] = [0, 0];
    const pace = setInterval(() => {
      const seconds = (performance.now() - start) / 1_000;
      for (; flows && shorts < seconds * FLOW.shortPerSecond; shorts++) void world.send(short, { dest: 1, tag: SHORT });
      for (; flows && longs < seconds * FLOW.longPerSecond; longs++) void world.send(long, { dest: 1, tag: LONG });
    }, PACE_MS);
    await world.recv({ source: 1, tag: ORDER });
    clearInterval(pace);
    await world.send((cpuExactNs(process.pid) ?? Number.NaN) - cpuBefore, { dest: 1, tag: STOPPED });
  }
}

async function receiver(): Promise<void> {
  let pool: ComputePool<number, void> | undefined;
  let [shorts, longs] = [0, 0];
  world.messages({ source: 0, tag: SHORT }).subscribe(() => shorts++);
  const into = new Uint8Array(new SharedArrayBuffer(FLOW.longBytes));
  (async () => {
    for (;;) {
      if ((await world.recv({ source: 0, tag: LONG, into })) instanceof Message) longs++;
    }
  })();
  onCommand(async ([, threads, flow]) => {
    const count = Number(threads);
    if (pool?.maxThreads !== count) {
      await pool?.destroy();
      const filename = new URL("./pool-task.js", import.meta.url);
      pool = new ComputePool<number, void>(world, { filename, minThreads: count, maxThreads: count });
      await batch(pool, iterationsIn(TASK_NS), count * 10); // imports, compiles
    }
    await world.send(flow === "on", { dest: 0, tag: ORDER });
    const [shortsBefore, longsBefore] = [shorts, longs];
    const tasks = count * Math.round(BATCH_NS / TASK_NS);
    const start = performance.now();
    await batch(pool, iterationsIn(TASK_NS), tasks);
    const seconds = (performance.now() - start) / 1_000;
    const [shortsNow, longsNow] = [shorts, longs];
    await world.send(false, { dest: 0, tag: ORDER });
    const senderNs = (await world.recv<number>({ source: 0, tag: STOPPED })).value;
    const measured: PoolBatch = {
      tasksPerSecond: tasks / seconds,
      shortPerSecond: (shortsNow - shortsBefore) / seconds,
      longPerSecond: (longsNow - longsBefore) / seconds,
      senderPercent: senderNs / seconds / 1e7,
    };
    answer(JSON.stringify(measured));
  });
  answer("ready");
}

/** Each thread has a task in hand and one waiting. */
async function batch(pool: ComputePool<number, void>, iterations: number, tasks: number): Promise<void> {
  const inputs = Array.from({ length: tasks }, () => iterations);
  const results = pool.map(inputs, undefined, { concurrency: 2 * pool.maxThreads, ordered: false });
  for await (const _ of results);
}
