// Two threads of one process over two rings in shared memory (ring.ts), one each way. Both stand still while they wait, so that no Promise
// is between them; values are v8.serialize's bytes. BENCH_THREAD_CPUS says where each runs.
import { once } from "node:events";
import { deserialize, serialize } from "node:v8";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import {
  bytesExchange,
  bytesOf,
  checkMark,
  checkStep,
  echoBytesOf,
  exchangeOf,
  isBulk,
  mark,
  rateBytesOf,
} from "./payload.js";
import { Ring } from "./ring.js";
import { serve } from "./serve.js";
import { pinThread, threadId } from "./threads.js";

interface Order {
  readonly workload: string;
  readonly count: number;
}

/** By size: every batch uses the same memory. */
const memories = new Map<number, Uint8Array>();

if (isMainThread) {
  pinThread(0);
  const memories = [Ring.memory(), Ring.memory()] as const;
  const worker = new Worker(new URL(import.meta.url), { workerData: memories });
  worker.on("exit", () => process.exit(1)); // it has said why
  const [partner] = await once(worker, "message");
  const [there, back] = memories.map((memory) => new Ring(memory)) as [Ring, Ring];
  const passes = async (workload: string, count: number, times: Float64Array | undefined) =>
    initiate(there, back, { workload, count }, times);
  serve({ passes }, [], [threadId(), partner]);
} else {
  pinThread(1);
  const [there, back] = (workerData as [SharedArrayBuffer, SharedArrayBuffer]).map((memory) => new Ring(memory));
  parentPort?.postMessage(threadId());
  answerOrders(there as Ring, back as Ring);
}

function initiate(there: Ring, back: Ring, order: Order, times: Float64Array | undefined): void {
  const { workload, count } = order;
  there.send(serialize(order));
  const oneWay = isBulk(workload) ? bytesOf(workload) : rateBytesOf(workload);
  if (oneWay !== undefined) {
    const body = memory(oneWay);
    for (let i = 0; i < count; i++) {
      mark(body, i);
      there.send(body);
    }
    checkStep(count, deserialize(back.receive()));
    return;
  }
  const bytes = echoBytesOf(workload);
  const exchange = bytes === undefined ? exchangeOf(workload) : bytesExchange(bytes);
  if (exchange === undefined) throw new Error(`${workload} is not for a ring`);
  const into = bytes === undefined ? undefined : memory(bytes);
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    const value = exchange.next(i);
    there.send(into ? (value as Uint8Array) : serialize(value));
    const answer = back.receive(into);
    exchange.check((into ? answer : deserialize(answer)) as never, i);
    if (times) times[i] = performance.now() - start;
  }
}

function answerOrders(there: Ring, back: Ring): never {
  for (;;) {
    const { workload, count }: Order = deserialize(there.receive());
    const oneWay = isBulk(workload) ? bytesOf(workload) : rateBytesOf(workload);
    const bytes = oneWay ?? echoBytesOf(workload);
    const into = bytes === undefined ? undefined : memory(bytes);
    for (let i = 0; i < count; i++) {
      const body = there.receive(into);
      if (oneWay !== undefined) checkMark(body, oneWay, i);
      else back.send(into ? body : serialize(deserialize(body)));
    }
    if (oneWay !== undefined) back.send(serialize(count));
  }
}

function memory(bytes: number): Uint8Array {
  const known = memories.get(bytes) ?? new Uint8Array(bytes).fill(1);
  memories.set(bytes, known);
  return known;
}
