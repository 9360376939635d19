// Scenarios of test/nothing-left.test.ts: what a process has after it opened and closed many worlds.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { World } from "carillon";
import { bytes, say, settled } from "./scenario.mjs";

const [name] = process.argv.slice(2);
const descriptors = () => readdirSync("/proc/self/fd").length;
const tasks = () => readdirSync("/proc/self/task").length;
const mappings = () => readFileSync("/proc/self/maps", "latin1").split("\n").length;
const resident = () => process.memoryUsage.rss();

const data = bytes(60_000);
const into = new Uint8Array(data.length);

/** A world that receives, and leaves with what nobody received and what nobody sent. */
async function one() {
  const world = await World.join();
  const receive = world.recv({ tag: 0, into });
  await world.send(data, { dest: 0 });
  await receive;
  void world.send(data, { dest: 0, tag: 1 });
  void world.recv({ tag: 2 });
  await world.close();
}

const scenarios = {
  async worlds() {
    for (let i = 0; i < 5; ++i) await one();
    await settled();
    const before = { descriptors: descriptors(), tasks: tasks() };
    for (let i = 0; i < 50; ++i) await one();
    await settled();
    assert.deepEqual({ descriptors: descriptors(), tasks: tasks() }, before);
  },

  async memory() {
    const collect = async () => {
      for (let i = 0; i < 4; ++i) {
        globalThis.gc();
        await settled();
      }
    };
    for (let i = 0; i < 100; ++i) await one();
    await collect();
    const before = { resident: resident(), mappings: mappings() };
    for (let i = 0; i < 400; ++i) await one();
    await collect();
    const after = { resident: resident(), mappings: mappings() };
    say({ before, after });
    assert.ok(after.resident - before.resident < 12 << 20, `${after.resident - before.resident} bytes more`);
    assert.ok(after.mappings - before.mappings < 60, `${after.mappings - before.mappings} mappings more`);
  },

  /** A rank of a job: uses everything, then leaves. */
  async job() {
    const world = await World.join();
    const peer = (world.rank + 1) % world.size;
    const memories = [undefined, new ArrayBuffer(3_000_000), new SharedArrayBuffer(3_000_000)];
    for (const size of [10, 10_000, 3_000_000]) {
      for (const memory of memories) {
        for (const synchronous of [false, true]) {
          const receive = world.recv({ tag: 1, into: memory });
          await world.send(bytes(size), { dest: peer, tag: 1, synchronous });
          await receive;
        }
      }
      const parts = world.recv({ tag: 1 });
      await world.send([bytes(size), bytes(8)], { dest: peer, tag: 1 });
      await parts;
    }
    // Some is left in every state: received by nobody, waiting in line, offered, taken back.
    for (let i = 0; i < 200; ++i) world.send(bytes(15_000), { dest: peer, tag: 2 }).catch(() => {});
    for (let i = 0; i < 4; ++i) world.send(bytes(900_000), { dest: peer, tag: 3, synchronous: true }).catch(() => {});
    world.recv({ tag: 4, into: memories[2] }).catch(() => {});
    const cancelled = world.recv({ tag: 5 });
    cancelled.catch(() => {}); // the others may have left already
    cancelled.cancel();
    say({ done: true });
    await world.close({ timeout: 20 });
  },
};

await scenarios[name]();
