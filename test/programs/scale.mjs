// Scenarios of test/scale.test.ts: many ranks at once, and what a world and its pairs cost in memory.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { World } from "carillon";
import { bytes, same, say, settled } from "./scenario.mjs";

const SIZES = [0, 8, 1000, 16_000, 40_000];

/**
 * Bytes of memory that this process and nobody else holds, and its part of what ranks share. Not of files: its part of Node's own
 * depends on what else runs on the machine.
 */
async function memory() {
  for (let i = 0; i < 4; ++i) {
    globalThis.gc?.();
    await settled();
  }
  const rollup = readFileSync("/proc/self/smaps_rollup", "latin1");
  const part = (kind) => Number(new RegExp(`^Pss_${kind}:\\s+(\\d+) kB`, "m").exec(rollup)[1]) * 1024;
  return part("Anon") + part("Shmem");
}

const begin = performance.now();
const resident = () => Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync("/proc/self/status", "latin1"))[1]) * 1024;

const scenarios = {
  /** Every rank sends every other (and itself) messages of several sizes, in order, and says how long it took to meet. */
  async allToAll() {
    const world = await World.join();
    const joined = performance.now() - begin;
    const { rank, size } = world;
    const seed = (from, to, i) => from * 67 + to * 13 + i;
    const sends = [];
    for (let k = 0; k < size; ++k) {
      const dest = (rank + k) % size;
      for (const [i, length] of SIZES.entries()) {
        sends.push(world.send(bytes(length, seed(rank, dest, i)), { dest, tag: 1 }));
      }
    }
    const next = new Array(size).fill(0);
    for (let left = size * SIZES.length; left > 0; --left) {
      const { source, data } = await world.recv({ tag: 1 });
      const i = next[source]++;
      same(data, bytes(SIZES[i], seed(source, rank, i)), `message ${i} from ${source}`);
    }
    await Promise.all(sends);
    say({ joined });
    await world.close();
  },

  /** What this process has more when it is in a world of so many ranks and has said nothing yet, and after a first word. */
  async costs() {
    await memory();
    const before = { resident: resident(), own: await memory() };
    const world = await World.join();
    const after = { resident: resident(), own: await memory() };
    say({ world: after.resident - before.resident, own: after.own - before.own });
    // Nobody leaves before everybody has looked.
    for (let dest = 0; dest < world.size; ++dest) await world.send("looked", { dest });
    for (let i = 0; i < world.size; ++i) await world.recv({ source: i });
    say({ spoken: (await memory()) - before.own });
    for (let dest = 0; dest < world.size; ++dest) await world.send("looked again", { dest });
    for (let i = 0; i < world.size; ++i) await world.recv({ source: i });
    await world.close();
    assert.ok(world.closed);
  },
};

await scenarios[process.argv[2]]();
