// This thread's notifier: the worker that wakes the readers of its message queues (workers/notifier.ts), there while queues are. A queue
// ends with the thread that made it, and so does that thread's notifier: the main thread's wakes its readers, too.
import { BroadcastChannel, isMainThread, threadId, Worker } from "node:worker_threads";
import type { NotifierOrder } from "../workers/notifier.js";

/** Where the main thread hears of the queues of others. */
const CHANNEL = "carillon.queues";

let worker: Worker | undefined;
let queues = 0;
let made = 0;
let helps = false;

/** Readers of this queue are woken from now on, until the function that is returned is called: the queue has ended, and they are told. */
export function wakeReaders(memory: SharedArrayBuffer): () => void {
  const name = `${threadId} ${++made}`;
  ++queues;
  tell({ add: name, memory, own: true });
  if (!isMainThread) announce(name, memory);
  return () => {
    const last = --queues === 0 && !helps;
    tell({ remove: name, last });
    if (last) worker = undefined; // it ends by itself
  };
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
