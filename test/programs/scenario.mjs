// What the rank programs of this folder share: a scenario by name, bytes everybody can make again, talk with the test.
import assert from "node:assert/strict";
import { World } from "carillon";

/** Joins, plays the scenario named on the command line, closes. A failed assertion is the process's exit code. */
export async function play(scenarios) {
  const [name, ...words] = process.argv.slice(2);
  const scenario = scenarios[name];
  assert.ok(scenario, `no scenario ${name}`);
  const world = await World.join();
  await scenario(world, ...words);
  await world.close();
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

/** All turns of the loop that are due have run, unhandled rejections included. */
export async function settled() {
  for (let i = 0; i < 3; ++i) await new Promise((resolve) => setImmediate(resolve));
}

let pool;
const POOL_WORDS = 3 << 19;

/** `length` bytes that depend on the seed, the same in every process. Memory of their own. */
export function bytes(length, seed = 0) {
  if (!pool) {
    const words = new Uint32Array(POOL_WORDS);
    for (let i = 0, state = 12345; i < POOL_WORDS; ++i) {
      state = (Math.imul(state, 1664525) + 1013904223) | 0;
      words[i] = state ^ (state >>> 15);
    }
    pool = new Uint8Array(words.buffer);
  }
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
