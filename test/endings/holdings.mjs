// What a process has of what the kernel counts, which is to be the same again when everything has ended.
import assert from "node:assert/strict";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { setTimeout as later } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { World } from "carillon";
import { settled } from "../programs/scenario.mjs";

/**
 * `descriptors`: without those of files, which Node.js leaves open when a thread is terminated while it imports. `memories`: those that are
 * shared with peers; leased ones are kept for the next lease as long as their rank stays.
 */
export function holdings() {
  const descriptors = readdirSync("/proc/self/fd")
    .map(target)
    .filter((name) => !/^\/(?!dev|memfd)/.test(name));
  const isMemory = (name) => name.includes("memfd:carillon");
  const mappings = readFileSync("/proc/self/maps", "latin1").split("\n");
  return {
    descriptors: descriptors.filter((name) => !isMemory(name)).length,
    threads: readdirSync("/proc/self/task").length,
    memories: descriptors.filter(isMemory).length + mappings.filter(isMemory).length,
  };
}

function target(descriptor) {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`);
  } catch {
    return ""; // that of the folder that is read
  }
}

/**
 * Waits until this process has what it had before; threads end when they get to it. `goesOn`: its rank stays.
 * @throws AssertionError after 2 s
 */
export async function nothingLeft(before, goesOn = false) {
  const now = () => ({ ...holdings(), ...(goesOn && { memories: before.memories }) });
  for (const until = performance.now() + 2000; performance.now() < until; ) {
    globalThis.gc(); // memory that peers lent lies in ArrayBuffers
    if (isDeepStrictEqual(now(), before)) return;
    await later(5);
  }
  assert.deepEqual(now(), before, "left over");
}

/** What this process has when it is in no world but has been in one, and has used it: some things are had for good. */
export async function baseline(use = () => {}) {
  const { CARILLON_JOB, CARILLON_RANK, CARILLON_SIZE } = process.env;
  const job = { CARILLON_JOB, CARILLON_RANK, CARILLON_SIZE };
  for (const key of Object.keys(job)) delete process.env[key];
  const world = await World.join();
  await use(world);
  await world.close();
  await settled();
  Object.assign(process.env, job);
  return holdings();
}

/** Bytes of memory that this process uses: what nobody refers to is collected first. `addon`: memory.cc. */
export function memoryInUse(addon) {
  for (let i = 0; i < 3; ++i) globalThis.gc();
  return createRequire(import.meta.url)(addon).inUse();
}
