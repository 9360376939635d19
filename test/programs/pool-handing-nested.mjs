// A task of test/programs/pool-handing.mjs that has a pool of its own.
import { World } from "carillon";
import { ComputePool } from "carillon/pool";

const world = await World.join();

/** Leaves leases with a thread that never takes them, and waits for the end. */
export default async function leaves({ running }) {
  const filename = new URL("./pool-handing-tasks.mjs", import.meta.url);
  const pool = new ComputePool(world, { filename, minThreads: 1, maxThreads: 1, concurrentTasksPerWorker: 2 });
  const inner = new Int32Array(new SharedArrayBuffer(4));
  pool.run({ running: inner }, { name: "forever" }).catch(() => {});
  while (Atomics.load(inner, 0) < 1) await new Promise((resolve) => setImmediate(resolve));
  for (let i = 0; i < 2; ++i) pool.run(world.allocate(1 << 20), { name: "identity" }).catch(() => {});
  await new Promise((resolve) => setImmediate(resolve));
  Atomics.add(running, 0, 1);
  await new Promise((resolve) => setTimeout(resolve, 2 ** 30));
}
