// Scenarios of test/trace.test.ts: what ranks do whose timeline is looked at. Joins by itself, for some say what becomes of that.
import assert from "node:assert/strict";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { isMainThread, Worker } from "node:worker_threads";
import { launch, World } from "carillon";
import { bytes, say, settled } from "./scenario.mjs";

const [name, ...words] = process.argv.slice(2);
const program = fileURLToPath(import.meta.url);

/** Two ranks: each protocol once from 0 to 1, with a tag of its own. */
async function protocols(world) {
  const { rank } = world;
  if (rank === 0) {
    await world.send(bytes(8), { dest: 1, tag: 1 });
    await world.send(bytes(3_000_000), { dest: 1, tag: 2 });
    await world.send(bytes(8), { dest: 1, tag: 3, synchronous: true });
    const lease = world.allocate(1 << 20);
    lease.data.fill(7);
    await world.send(lease, { dest: 1, tag: 4 });
    await world.send(bytes(100), { dest: 0, tag: 5 });
    await world.recv({ tag: 5 });
    await world.recv({ source: 1, tag: 6 });
    for (let i = 0; i < 5; ++i) await world.send(bytes(8), { dest: 1, tag: 7 });
  } else {
    await world.recv({ source: 0, tag: 2 }); // that with tag 1 comes unexpected
    await world.recv({ source: 0, tag: 1 });
    await world.recv({ source: 0, tag: 3 });
    (await world.recv({ source: 0, tag: 4 })).release?.();
    await world.send(bytes(8), { dest: 0, tag: 6 });
    let count = 0;
    for await (const message of world.messages({ source: 0, tag: 7 })) {
      assert.equal(message.byteLength, 8);
      if (++count === 5) break;
    }
  }
}

const scenarios = {
  async protocols() {
    const world = await World.join();
    await protocols(world);
    performance.mark("before the end");
    const start = performance.now();
    await settled();
    performance.measure("turns", { start });
    await world.close();
  },

  /** Rank 1 is killed while rank 0 waits. */
  async killed() {
    const world = await World.join();
    if (world.rank === 0) {
      await world.recv({ source: 1, tag: 1 });
      await assert.rejects(world.recv({ source: 1, tag: 2 }));
      await world.close();
      return;
    }
    await world.send(bytes(8), { dest: 0, tag: 1 });
    process.kill(process.pid, "SIGKILL");
  },

  /** Rank 1 computes while messages come that it waits for, until handlers have worked a few times. */
  async interrupted() {
    const world = await World.join();
    if (world.rank === 0) {
      while ((await world.recv({ source: 1, tag: 2 })).value) await world.send(bytes(8), { dest: 1, tag: 1 });
    } else {
      for (let times = 0; times < 10; ) {
        const { received } = world.stats();
        const message = world.recv({ source: 0, tag: 1 });
        await world.send(true, { dest: 0, tag: 2 });
        const { handled } = world.stats();
        while (world.stats().received === received) for (let i = 0; i < 1e4; ++i);
        if (world.stats().handled > handled) times++; // else the native thread was first
        await message;
      }
      await world.send(false, { dest: 0, tag: 2 });
    }
    await world.close();
  },

  /** World after world, threads that join and leave, the last of them not the main one. */
  async worlds() {
    for (const tag of [11, 12]) {
      const world = await World.join();
      await world.send(bytes(8), { dest: 0, tag });
      await world.recv({ tag });
      await world.close();
    }
    const world = await World.join();
    const worker = new Worker(program, { argv: ["worker"] });
    await once(worker, "message");
    await world.close();
    worker.postMessage("close");
    await once(worker, "exit");
  },

  async worker() {
    const { parentPort } = await import("node:worker_threads");
    const world = await World.join();
    await world.send(bytes(8), { dest: 0, tag: 13 });
    await world.recv({ tag: 13 });
    parentPort.postMessage("joined");
    await once(parentPort, "message");
    parentPort.close();
    await world.close();
  },

  /** A world of one that is never left. */
  async exits() {
    const world = await World.join();
    await world.send(bytes(8), { dest: 0, tag: 1 });
    world.recv({ tag: 2 });
    process.exit(Number(words[0]));
  },

  async pool() {
    const { ComputePool } = await import("carillon/pool");
    const world = await World.join();
    const filename = new URL("./trace-tasks.mjs", import.meta.url);
    const pool = new ComputePool(world, { filename, minThreads: 2, maxThreads: 2 });
    await Promise.all([pool.run(1), pool.run(2), pool.run(3, { name: "joins" })]);
    await pool.close();
    await world.close();
  },

  /** This process is rank 0. */
  async launch() {
    const world = await launch({ size: 2, script: program, args: ["protocols"] });
    await protocols(world);
    await world.close();
  },

  async refused() {
    const [how] = words;
    const starts = how === "launch" ? launch({ size: 2, script: program, args: ["protocols"] }) : World.join();
    const error = await starts.catch((reason) => reason);
    say({ code: error.code, message: error.message });
  },
};

if (isMainThread || name === "worker") await scenarios[name]();
