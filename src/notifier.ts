// This thread's notifier: the worker that wakes the readers of its message queues (workers/notifier.ts), there while queues are. A queue
// ends with the thread that made it, and so does that thread's notifier: the main thread's wakes its readers, too.
import { BroadcastChannel, isMainThread, threadId, Worker } from "node:worker_threads";
import type { NotifierOrder } from "../workers/notifier.js";
import { Ring } from "./native.js";

/** Where the main thread hears of the queues of others. */
const CHANNEL = "carillon.queues";

let worker: Worker | undefined;
let made = 0;
/** Of this thread: their words, and the event that it woke readers for last. */
const queues = new Map<string, { readonly words: Int32Array; event: number }>();
let helps = false;

/** Readers of this queue are woken from now on, until the function that is returned is called: the queue has ended, and they are told. */
export function wakeReaders(memory: SharedArrayBuffer): () => void {
  const name = `${threadId} ${++made}`;
  queues.set(name, { words: new Int32Array(memory), event: 0 });
  tell({ add: name, memory, own: true });
  if (!isMainThread) announce(name, memory);
  return () => {
    queues.delete(name);
    const last = queues.size === 0 && !helps;
    tell({ remove: name, last });
    if (last) worker = undefined; // it ends by itself
  };
}

/** This thread has made progress itself, in its loop: it wakes the readers of its queues without the notifier, one hop less. */
export function wakeReadersNow(): void {
  for (const queue of queues.values()) {
    const event = Atomics.load(queue.words, Ring.event);
    if (event === queue.event) continue;
    queue.event = event;
    Atomics.notify(queue.words, Ring.event);
  }
}

/** For the main thread: wakes readers of the queues that other threads make from now on, when those end. */
export function helpToWakeReaders(): void {
  const channel = new BroadcastChannel(CHANNEL);
  channel.unref();
  channel.onmessage = (event) => {
    const [name, memory] = (event as { data: [string, SharedArrayBuffer] }).data;
    helps = true;
    tell({ add: name, memory, own: false });
  };
}

/** It is in the main thread's hands when this returns, whatever becomes of this thread. */
function announce(name: string, memory: SharedArrayBuffer): void {
  const channel = new BroadcastChannel(CHANNEL);
  channel.postMessage([name, memory]);
  channel.close();
}

function tell(order: NotifierOrder): void {
  worker ??= start();
  worker.postMessage(order);
}

function start(): Worker {
  const started = new Worker(new URL("../workers/notifier.js", import.meta.url), { name: "carillon-notifier" });
  started.unref(); // the queues keep this thread alive, if they shall
  started.on("error", (error) => {
    if (worker === started) worker = undefined;
    throw error;
  });
  return started;
}
