// What the rank programs of this folder share: a scenario by name, bytes everybody can make again, talk with the test.
import assert from "node:assert/strict";
import { createInterface } from "node:readline";
import { World } from "carillon";

/** Of every Node.js. */
export const TYPED_ARRAYS = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
];

/**
 * Joins, plays the scenario named on the command line (or, with "in turn", those that the test asks for on stdin), closes.
 * A failed assertion is the process's exit code.
 */
export async function play(scenarios) {
  const [name, ...words] = process.argv.slice(2);
  const scenario = name === "in turn" ? (world) => inTurn(world, scenarios) : scenarios[name];
  assert.ok(scenario, `no scenario ${name}`);
  const world = await World.join();
  await scenario(world, ...words);
  await world.close();
}

async function inTurn(world, scenarios) {
  for await (const line of createInterface({ input: process.stdin })) {
    const { number, play, clear } = JSON.parse(line);
    if (play) {
      const [name, ...words] = play;
      assert.ok(scenarios[name], `no scenario ${name}`);
      await scenarios[name](world, ...words);
    } else if (clear) {
      for (let left = world.tryMprobe(); left; left = world.tryMprobe()) await left.recv().catch(() => {});
      await nothingOutstanding(world);
    } else {
      process.stdin.destroy();
      return;
    }
    say({ [`done ${number}`]: true });
  }
}

/** A line for the test; written at once, whatever happens next. */
export function say(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

/** The next word from the test. */
export function heard() {
  return new Promise((resolve) => {
    process.stdin.once("data", (data) => {
      process.stdin.pause();
      process.stdin.unref?.();
      resolve(String(data));
    });
    process.stdin.resume();
  });
}

/** Native code forgets a request some turns of the loop after it has settled. */
export async function nothingOutstanding(world) {
  for (let turn = 0; turn < 1000 && world.stats().outstanding > 0; ++turn) await settled();
  assert.equal(world.stats().outstanding, 0);
}

/** All turns of the loop that are due have run, unhandled rejections included. */
export async function settled() {
  for (let i = 0; i < 3; ++i) await new Promise((resolve) => setImmediate(resolve));
}

/** Most programs need little: what is long has a pool of its own, made when it is first needed. */
const POOLS = [{ bytes: 1 << 18 }, { bytes: 6 << 20 }];

/** `length` bytes that depend on the seed, the same in every process. Memory of their own. */
export function bytes(length, seed = 0) {
  const from = POOLS[length <= 100_000 ? 0 : 1];
  if (!from.pool) {
    const words = new Uint32Array(from.bytes / 4);
    for (let i = 0, state = 12345; i < words.length; ++i) {
      state = (Math.imul(state, 1664525) + 1013904223) | 0;
      words[i] = state ^ (state >>> 15);
    }
    from.pool = new Uint8Array(words.buffer);
  }
  const { pool } = from;
  const most = pool.length - length;
  assert.ok(most >= 0);
  const start = (seed * 7919) % (most + 1);
  return pool.slice(start, start + length);
}

export function same(found, expected, what = "bytes") {
  assert.equal(found.byteLength, expected.byteLength, `${what}: length`);
  if (Buffer.compare(found, expected) !== 0) {
    const at = expected.findIndex((byte, i) => byte !== found[i]);
    assert.fail(`${what}: differ at ${at} of ${expected.byteLength}`);
  }
}

/** Rejects with this code; returns the error. */
export async function rejects(promise, code) {
  let error;
  try {
    const value = await promise;
    assert.fail(`expected ${code}, but it settled with ${String(value)}`);
  } catch (caught) {
    error = caught;
  }
  assert.equal(error.code, code, error.stack);
  return error;
}

/** A generator of numbers from 0 to 1 that a seed determines. */
export function random(seed) {
  let state = seed | 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32;
  };
}

/** The unhandled rejections of this process, from here on. */
export function unhandled() {
  const all = [];
  process.on("unhandledRejection", (reason) => all.push(reason));
  return all;
}
