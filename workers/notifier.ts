// The thread that wakes the readers of message queues: native code cannot wake `Atomics.wait`, so it rings this thread's loop, and this
// calls `Atomics.notify`. It also has the queues fed in which readers have made room. One for each thread that makes queues; that of the
// main thread knows the queues of all, so that readers hear of the end of a thread whose notifier ends with it.
// Not responsible for what is in a queue (core/taker.cc) nor for taking it out (src/queue.ts).
import { type MessagePort, parentPort } from "node:worker_threads";
import { native, Ring } from "../src/native.js";

/** What this thread's parent says. Memory that is posted is another object each time: queues have names. `own`: the parent made it. */
export type NotifierOrder =
  | { add: string; memory: SharedArrayBuffer; own: boolean }
  | { remove: string; last: boolean };

type WaitAsync = (
  words: Int32Array,
  index: number,
  value: number,
) => { async: boolean; value: string | Promise<string> };
const waitAsync = (Atomics as unknown as { waitAsync: WaitAsync }).waitAsync;

interface Queue {
  readonly words: Int32Array;
  readonly own: boolean;
  /** Whose readers were woken last. */
  event: number;
}

const queues = new Map<string, Queue>();
const port = parentPort as MessagePort;

native().watchQueues(() => {
  for (const [name, queue] of queues) {
    wake(queue);
    if (!queue.own && ended(queue)) queues.delete(name); // nobody else says so
  }
});
port.on("message", (order: NotifierOrder) => {
  if ("add" in order) return add(order.add, new Int32Array(order.memory), order.own);
  const queue = queues.get(order.remove);
  queues.delete(order.remove);
  if (queue) wake(queue);
  if (order.last) port.close(); // which ends this thread
});

function add(name: string, words: Int32Array, own: boolean): void {
  const queue = { words, own, event: 0 };
  queues.set(name, queue);
  if (own) feedWhenAsked(name, queue);
  wake(queue); // what came before this thread listened
}

const ended = ({ words }: Queue) => (Atomics.load(words, Ring.head) & Ring.closed) !== 0;

function wake(queue: Queue): void {
  const event = Atomics.load(queue.words, Ring.event);
  if (event === queue.event) return;
  queue.event = event;
  Atomics.notify(queue.words, Ring.event);
}

async function feedWhenAsked(name: string, queue: Queue): Promise<void> {
  while (queues.get(name) === queue && !ended(queue)) {
    await waitAsync(queue.words, Ring.asked, 0).value;
    Atomics.store(queue.words, Ring.asked, 0); // before room is looked for: who makes some after that asks again
    native().feedQueues();
  }
}
