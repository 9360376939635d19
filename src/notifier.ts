// This thread's notifier: the worker that wakes the readers of its message queues (workers/notifier.ts), there while queues are.
import { threadId, Worker } from "node:worker_threads";
import type { NotifierOrder } from "../workers/notifier.js";

let worker: Worker | undefined;
let queues = 0;
let made = 0;
/** For the queues of other threads, too, which may end before their readers do: it stays. */
let helps = false;

/** Readers of this queue are woken from now on, until the function that is returned is called: the queue has ended, and they are told. */
export function wakeReaders(memory: SharedArrayBuffer): () => void {
  const name = `${threadId} ${++made}`;
  ++queues;
  notifier().postMessage({ add: name, memory } satisfies NotifierOrder);
  return () => {
    const last = --queues === 0 && !helps;
    worker?.postMessage({ remove: name, last } satisfies NotifierOrder);
    if (last) worker = undefined; // it ends by itself
  };
}

/** Readers of queues of all threads are woken by this one's notifier, too. */
export function helpToWakeReaders(): void {
  helps = true;
  notifier();
}

function notifier(): Worker {
  if (worker) return worker;
  const started = new Worker(new URL("../workers/notifier.js", import.meta.url), { name: "carillon-notifier" });
  started.unref(); // the queues keep this thread alive, if they shall
  started.on("error", (error) => {
    if (worker === started) worker = undefined;
    throw error;
  });
  worker = started;
  return started;
}
