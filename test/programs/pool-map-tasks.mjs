// The tasks of test/programs/pool-map.mjs.
import { threadId } from "node:worker_threads";
import { Message, World } from "carillon";

export const double = (n) => 2 * n;

export const decoded = (message) => message.value;

/** Waits, as computing would, until the gate is this far open; counts who has begun. */
export default function pass({ n, gate, begun, fails }) {
  Atomics.add(begun, 0, 1);
  for (let open = Atomics.load(gate, 0); open < n; open = Atomics.load(gate, 0)) Atomics.wait(gate, 0, open);
  if (fails) throw new RangeError(`${n} fails`);
  return { n, threadId };
}

/** Messages wait at a gate that the first of them finds in `globalThis` of the thread: set by `guard`. */
let gate;
export function guard(shared) {
  gate = shared;
}
export function read(message) {
  if (!(message instanceof Message)) throw new TypeError("no message");
  const { n, body } = message.value;
  if (gate) for (let open = Atomics.load(gate, 0); open < n; open = Atomics.load(gate, 0)) Atomics.wait(gate, 0, open);
  return { n, bytes: body.byteLength, first: body[0], source: message.source, tag: message.tag };
}

let world;
export async function answer(message) {
  world ??= await World.join();
  await world.send(message.value + 1, { dest: message.source, tag: message.tag });
  return message.value;
}
