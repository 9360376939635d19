// The tasks of test/programs/pool-handing.mjs: what threads do with leases and messages. They join only where they must.
import assert from "node:assert/strict";
import { inspect } from "node:util";
import { Lease, Message, World } from "carillon";
import { bytes, same } from "./scenario.mjs";

let world;

const bytesOf = ({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength);

/** Checks what came, changes each byte of it, and gives it back. */
export function changes({ leases: [first, ...rest], deep, type, seed }) {
  assert.equal(deep[1].again, first);
  const all = [first, ...rest];
  all.forEach((lease, i) => {
    assert.ok(lease instanceof Lease);
    assert.equal(lease.data.constructor.name, type);
    const found = bytesOf(lease.data);
    same(found, bytes(found.byteLength, seed + i));
    for (let k = 0; k < found.length; k++) found[k] ^= 0xff;
  });
  return { all, one: { first } };
}

/** As it came, and the very same. */
export const identity = (task) => task;

/** Computes until somebody ends this thread. */
export function forever({ running }) {
  Atomics.add(running, 0, 1);
  for (;;);
}

/** Takes a lease along into the end of its thread. */
export function keeps({ lease, running }) {
  assert.equal(lease.data[0], 7);
  Atomics.add(running, 0, 1);
  for (;;);
}

/** A lease of this thread's own. */
export async function makes({ length, seed }) {
  world ??= await World.join();
  const lease = world.allocate(length);
  lease.data.set(bytes(length, seed));
  return [lease];
}

/** Gives back what requests of this thread use. */
export async function inUse({ lease }) {
  world ??= await World.join();
  world.recv({ tag: 77, into: lease }).catch(() => {});
  return lease;
}

/** Sends what it was given on, as if it had received it. */
export async function sends({ lease, dest }) {
  world ??= await World.join();
  await world.send(lease, { dest });
  assert.ok(lease.released);
}

/** Decodes, and lets go. */
export function reads(message) {
  assert.ok(message instanceof Message);
  const { source, tag, byteLength } = message;
  assert.throws(() => message.reply(1), { code: "ERR_CARILLON_OTHER_THREAD" });
  assert.equal(inspect(message), `Message { source: ${source}, tag: ${tag}, byteLength: ${byteLength} }`);
  const value = structuredClone(message.value);
  message.release();
  return { source, tag, byteLength, value };
}

/** Answers where it came from. */
export async function answers({ message }) {
  world ??= await World.join();
  await world.send(message.value, { dest: message.source, tag: message.tag });
  return message; // and gives it back
}
