// The thread that wakes the readers of message queues: native code cannot wake `Atomics.wait`, so it rings this thread's loop, and this
// calls `Atomics.notify`. It also has the queues fed in which readers have made room. One for each thread that makes queues; all know all
// queues of the process, so that readers hear of the end of a thread whose notifier ends with it.
// Not responsible for what is in a queue (core/taker.cc) nor for taking it out (src/queue.ts).
import { BroadcastChannel, type MessagePort, parentPort } from "node:worker_threads";
import { native, Ring } from "../src/native.js";

/** What the thread that makes queues says. Memory that is posted is another object each time: queues have names. */
export type NotifierOrder = { add: string; memory: SharedArrayBuffer } | { remove: string; last: boolean };

type WaitAsync = (
  words: Int32Array,
  index: number,
  value: number,
) => { async: boolean; value: string | Promise<string> };
const waitAsync = (Atomics as unknown as { waitAsync: WaitAsync }).waitAsync;

interface Queue {
  readonly memory: SharedArrayBuffer;
  readonly words: Int32Array;
  /** Whether it is this thread's parent's. */
  readonly own: boolean;
  /** Whose readers were woken last. */
  event: number;
}

const queues = new Map<string, Queue>();
const others = new BroadcastChannel("carillon.queues");
others.unref();

native().watchQueues(() => {
  for (const [name, queue] of queues) {
    // Of others nobody says that they have ended.
    if (!queue.own && (Atomics.load(queue.words, Ring.head) & Ring.closed) !== 0) forget(name);
    else wake(queue);
  }
});
others.onmessage = (event) => {
  const said = (event as { data: unknown }).data as [string, SharedArrayBuffer] | null;
  if (said) add(...said, false);
  else for (const [name, { memory, own }] of queues) if (own) others.postMessage([name, memory]); // somebody has just come
};
others.postMessage(null);
const port = parentPort as MessagePort;
port.on("message", (order: NotifierOrder) => {
  if ("add" in order) {
    add(order.add, order.memory, true);
    others.postMessage([order.add, order.memory]);
    return;
  }
  forget(order.remove);
  if (!order.last) return;
  port.close();
  others.close();
});

function add(name: string, memory: SharedArrayBuffer, own: boolean): void {
  if (queues.has(name)) return;
  const queue = { memory, words: new Int32Array(memory), own, event: 0 };
  queues.set(name, queue);
  if (own) feedWhenAsked(name, queue.words);
  wake(queue); // what came before this thread listened
}

/** Its readers hear of the end. */
function forget(name: string): void {
  const queue = queues.get(name);
  queues.delete(name);
  if (queue) wake(queue);
}

function wake(queue: Queue): void {
  const event = Atomics.load(queue.words, Ring.event);
  if (event === queue.event) return;
  queue.event = event;
  Atomics.notify(queue.words, Ring.event);
}

async function feedWhenAsked(name: string, words: Int32Array): Promise<void> {
  while (queues.has(name) && (Atomics.load(words, Ring.head) & Ring.closed) === 0) {
    await waitAsync(words, Ring.asked, 0).value;
    Atomics.store(words, Ring.asked, 0); // before room is looked for: who makes some after that asks again
    native().feedQueues();
  }
}
