// Scenarios of test/pool.test.ts: what a rank does with a pool of threads. The tasks are in pool-tasks.mjs.
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { CarillonError, World } from "carillon";
import { ComputePool } from "carillon/pool";
import { bytes, rejects, same, say, settled } from "./scenario.mjs";

const tasks = new URL("./pool-tasks.mjs", import.meta.url);
const SIZES = [0, 50, 3000, 100_000, 1_500_000];

/** Exactly so many threads. */
const threads = (world, count, options = {}) =>
  new ComputePool(world, { filename: tasks, minThreads: count, maxThreads: count, ...options });

/** A counter that threads share, where they can wait for each other. */
const counter = () => new Int32Array(new SharedArrayBuffer(4));

/** Computes, without a look at the event loop, until the counter has come so far. */
function computeUntil(counted, goal) {
  // Only ends what hangs.
  const hangs = performance.now() + 40_000;
  while (Atomics.load(counted, 0) < goal) assert.ok(performance.now() < hangs, `the counter stays ${counted[0]}`);
}

/** Rank 1: gives back what comes, until it is told to stop. It waits for nobody: who asked may have ended. */
async function echo(world) {
  const replies = [];
  for (;;) {
    const message = await world.recv({ source: 0 });
    if (message.value === "stop") break;
    replies.push(message.reply(message.value));
  }
  await Promise.all(replies);
}

/** Two threads that wait for tags 10 and 11, and idle. `minThreads` is 1: the other idles although it need not be there. */
async function idlers(world, answered) {
  const pool = new ComputePool(world, { filename: tasks, minThreads: 1, maxThreads: 2, name: "listen" });
  const met = counter();
  const ids = await Promise.all([10, 11].map((tag) => pool.run({ tag, met, goal: 2, answered })));
  assert.equal(new Set(ids).size, 2);
  assert.deepEqual([pool.threads.length, pool.idleThreads, pool.completed], [2, 2, 2]);
  return pool;
}

/** Rank 1: asks each thread of rank 0 so many times. */
async function ask(world, rounds) {
  for (let round = 0; round < rounds; ++round) {
    const size = SIZES[round % SIZES.length];
    for (const tag of [10, 11]) {
      await world.send(bytes(size, round), { dest: 0, tag });
      const { value } = await world.recv({ source: 0, tag });
      same(value, bytes(size, round));
    }
  }
}

const scenarios = {
  async results(world) {
    const pool = threads(world, 3);
    const met = counter();
    // Each waits for the other two: this ends only if they run at once.
    const results = await Promise.all([1, 2, 3].map((n) => pool.run({ n, met, goal: 3 })));
    assert.deepEqual(
      results.map(({ n }) => n),
      [1, 2, 3],
    );
    assert.equal(new Set([0, ...results.map(({ thread }) => thread)]).size, 4);
    for (const { rank, size } of results) assert.deepEqual([rank, size], [world.rank, world.size]);
    // More tasks than threads, and the module is imported once in each.
    const more = await Promise.all(Array.from({ length: 50 }, (_, n) => pool.run({ n })));
    assert.deepEqual(
      more.map(({ n }) => n),
      Array.from({ length: 50 }, (_, n) => n),
    );
    const runs = [...results, ...more].map(({ thread, run }) => `${thread}: ${run}`);
    assert.equal(new Set(runs).size, 53);
    await pool.close();
  },

  async choices(world) {
    const pool = threads(world, 1, { filename: fileURLToPath(tasks), name: "identity", workerData: "mine" });
    for (const value of ["text", null, undefined, 0, [1, 2], new Map([[1, 2n]])])
      assert.deepEqual(await pool.run(value), value);
    assert.equal(await pool.run(undefined, { name: "data" }), "mine");
    const common = new URL("./pool-tasks.cjs", import.meta.url);
    assert.equal(await pool.run(20, { filename: common, name: "default" }), 21);
    assert.equal(await pool.run(20, { filename: common, name: "hidden" }), 22);
    // Memory goes there and comes back, and is not copied.
    for (const options of [{}, { transferList: true }]) {
      const body = bytes(5000, 1);
      const task = options.transferList ? { body } : ComputePool.move(body);
      const moved = await pool.run(task, {
        name: "moves",
        ...(options.transferList && { transferList: [body.buffer] }),
      });
      assert.equal(body.byteLength, 0);
      same(moved, bytes(5000, 1));
    }
    await pool.destroy();
  },

  async errors(world) {
    const pool = threads(world, 1);
    const fails = async (task, options) => {
      try {
        await pool.run(task, { name: "fails", ...options });
      } catch (error) {
        return error;
      }
      assert.fail("it did not reject");
    };
    const range = await fails("range");
    assert.ok(range instanceof RangeError);
    assert.deepEqual([range.message, range.name, range.cause.message], ["on purpose", "RangeError", "the cause"]);
    assert.ok(range.stack.includes("pool-tasks.mjs"));
    assert.deepEqual(Object.keys(range), []);
    const system = await fails("system");
    assert.deepEqual([system.code, system.syscall], ["ENOENT", "open"]);
    const ours = await fails("ours");
    assert.ok(ours instanceof CarillonError);
    assert.deepEqual([ours.code, ours.name, ours.rank], ["ERR_CARILLON_PEER_LOST", "CarillonError", 99]);
    const own = await fails("own");
    assert.deepEqual([own.name, own.code, own.note], ["OwnError", 7, undefined]);
    for (const value of [null, undefined, "text"]) assert.equal(await fails({ value }), value);
    const missing = await fails("range", { name: "nowhere" });
    assert.equal(missing.code, "ERR_CARILLON_INVALID_ARGUMENT");
    assert.match(missing.message, /pool-tasks\.mjs exports no function "nowhere"/);
    const broken = new URL("./pool-broken.mjs", import.meta.url);
    for (let i = 0; i < 2; ++i) assert.equal((await fails("range", { filename: broken })).message, "broken on purpose");
    // None of this cost a thread.
    assert.deepEqual(await pool.run({ n: 1 }).then(({ run }) => run), 1);
    assert.equal(pool.threads.length, 1);
    await pool.destroy();
  },

  async busy(world) {
    if (world.rank === 1) return echo(world);
    const pool = threads(world, 2, { name: "talk" });
    const met = counter();
    await Promise.all([1, 2].map((tag) => pool.run({ tag, sizes: [10], dest: 1, done: counter(), met, goal: 2 })));
    const done = counter();
    const talking = [1, 2].map((tag) => pool.run({ tag, sizes: SIZES, dest: 1, done }));
    computeUntil(done, 2);
    assert.deepEqual(await Promise.all(talking), [SIZES.length, SIZES.length]);
    await pool.destroy();
    await world.send("stop", { dest: 1 });
  },

  /**
   * Every thread of rank 1 computes, without a look at its event loop, until it sees what native code alone can have done: a long body fetched
   * out of its sender's memory and written, its sender told, and what that then sent received by the others' computing too.
   */
  async "all compute"(world) {
    const LENGTH = 1_500_000;
    const tags = [1, 2, 3];
    if (world.rank === 0) {
      await world.recv({ source: 1, tag: 0 }); // all three are posted
      for (const tag of tags) await world.send(bytes(LENGTH, tag), { dest: 1, tag, synchronous: true });
      await world.send(new Uint32Array([7]), { dest: 1, tag: 4, synchronous: true });
      return;
    }
    const shared = (length) => new Uint8Array(new SharedArrayBuffer(length));
    const last = shared(4);
    const stop = new Int32Array(last.buffer);
    const intos = tags.map(() => shared(LENGTH));
    const pool = threads(world, 2, { name: "computes" });
    const posted = counter();
    const tasks = [1, 2].map((tag) => pool.run({ tag, into: intos[tag - 1], stop, posted }));
    while (Atomics.load(posted, 0) < 2) await settled();
    const received = world.recv({ tag: 3, into: intos[2] });
    const end = world.recv({ tag: 4, into: last });
    await world.send("posted", { dest: 0 });
    computeUntil(stop, 7);
    // No loop has turned since; all bodies are here, for their sender has waited for one after the other.
    tags.forEach((tag, i) => {
      same(intos[i], bytes(LENGTH, tag));
    });
    await Promise.all([received, end, ...tasks]);
    await pool.destroy();
  },

  async idle(world) {
    if (world.rank === 1) {
      await ask(world, 20);
      return world.send("asked", { dest: 0 });
    }
    const pool = await idlers(world, counter());
    assert.equal((await world.recv({ source: 1, tag: 0 })).value, "asked");
    assert.deepEqual([pool.threads.length, pool.completed], [2, 2]);
    await pool.destroy();
  },

  async "idle-busy"(world) {
    if (world.rank === 1) return ask(world, 20);
    const answered = counter();
    const pool = await idlers(world, answered);
    computeUntil(answered, 40);
    await pool.destroy();
  },

  /** The process ends by itself, although a pool is there whose threads wait. */
  async unfinished(world) {
    const answered = counter();
    await idlers(world, answered);
    const answers = [];
    for (const tag of [10, 11]) {
      await world.send(tag - 10, { dest: 0, tag });
      answers.push((await world.recv({ source: 0, tag: tag + 100 })).value);
    }
    say({ answers });
  },

  async abort(world) {
    if (world.rank === 1) return echo(world);
    const pool = threads(world, 1);
    const running = counter();
    const controller = new AbortController();
    const task = pool.run({ running }, { name: "forever", signal: controller.signal });
    await pool.run({ running }, { name: "forever", signal: AbortSignal.abort() }).then(
      () => assert.fail("it ran"),
      (error) => assert.equal(error.name, "AbortError"),
    );
    computeUntil(running, 1);
    // One in line is taken out of it, the one that runs loses its thread; the reason is the signal's.
    const waiting = new AbortController();
    const inLine = pool.run({ running }, { name: "forever", signal: waiting.signal });
    const why = new Error("no longer wanted");
    waiting.abort(why);
    await assert.rejects(inLine, { name: "AbortError", cause: why });
    assert.equal(pool.queueSize, 0);
    controller.abort(why);
    await assert.rejects(task, { name: "AbortError", cause: why });
    assert.equal(Atomics.load(running, 0), 1);
    // Another thread has come.
    assert.equal(await pool.run({ tag: 1, sizes: SIZES, dest: 1, done: counter() }, { name: "talk" }), SIZES.length);
    // In the middle of transfers of every kind.
    for (let round = 0; round < 3; ++round) {
      const moving = counter();
      const aborting = new AbortController();
      const { signal } = aborting;
      const transfers = pool.run({ running: moving, tag: 2, dest: 1 }, { name: "transfers", signal });
      while (Atomics.load(moving, 0) < 1) await settled();
      aborting.abort(why);
      await assert.rejects(transfers, { name: "AbortError", cause: why });
      await world.send(round, { dest: 1, tag: 1 });
      // First what the thread left behind.
      while ((await world.recv({ source: 1 })).tag !== 1);
    }
    assert.equal(await pool.run({ tag: 1, sizes: SIZES, dest: 1, done: counter() }, { name: "talk" }), SIZES.length);
    await pool.destroy();
    await world.send("stop", { dest: 1 });
  },

  /** Threads end while they compute, wait and transfer. */
  async destroy(world) {
    if (world.rank === 1) return echo(world);
    for (let round = 0; round < 3; ++round) {
      const pool = threads(world, 3);
      const running = counter();
      const all = [
        pool.run({ running }, { name: "forever" }),
        pool.run({ running, tag: 100 + round }, { name: "waits" }),
        pool.run({ running, tag: 200 + round, dest: 1 }, { name: "transfers" }),
        pool.run({ running }, { name: "forever" }),
      ];
      const settled = Promise.allSettled(all);
      computeUntil(running, 3);
      await pool.destroy();
      assert.deepEqual(
        (await settled).map(({ status }) => status),
        all.map(() => "rejected"),
      );
      assert.equal(pool.threads.length, 0);
      // The rank is well: its main thread talks, and so do the threads of another pool.
      for (const size of SIZES) {
        await world.send(bytes(size, round), { dest: 1, tag: 1 });
        let message = await world.recv({ source: 1 });
        // First what the threads left behind.
        while (message.tag === 200 + round) message = await world.recv({ source: 1 });
        assert.equal(message.tag, 1);
        same(message.value, bytes(size, round));
      }
      const next = threads(world, 1);
      assert.equal(await next.run({ tag: 2, sizes: SIZES, dest: 1, done: counter() }, { name: "talk" }), SIZES.length);
      await next.destroy();
    }
    await world.send("stop", { dest: 1 });
  },

  async starting(world) {
    for (let round = 0; round < 16; ++round) {
      const pool = threads(world, 2);
      const asked = pool.run(null, { name: "nobody" }).catch(({ message }) => message);
      // At any moment of a thread's start, which takes some 50 ms.
      await pause(Math.random() * 80);
      await pool.destroy();
      assert.equal(typeof (await asked), "string");
    }
  },

  async bad(world) {
    const pool = (...words) => new ComputePool(...words);
    const code = (expected, make) =>
      assert.throws(make, (error) => error instanceof CarillonError && error.code === expected);
    for (const filename of [undefined, null, "", 3, {}])
      code("ERR_CARILLON_INVALID_ARGUMENT", () => pool(world, { filename }));
    code("ERR_CARILLON_INVALID_ARGUMENT", () => pool(world));
    code("ERR_CARILLON_INVALID_ARGUMENT", () => pool({}, { filename: tasks }));
    code("ERR_CARILLON_INVALID_ARGUMENT", () => pool(world, { filename: tasks, name: 3 }));
    for (const filename of [
      new URL("./nowhere.mjs", import.meta.url),
      "nowhere.mjs",
      new URL("https://localhost/task.js"),
    ]) {
      code("ERR_CARILLON_LAUNCH_FAILED", () => pool(world, { filename }));
    }
    // Piscina's own checks are its own.
    assert.throws(() => pool(world, { filename: tasks, maxThreads: -1 }), TypeError);
    const open = threads(world, 1);
    await rejects(open.run(1, { filename: "nowhere.mjs" }), "ERR_CARILLON_LAUNCH_FAILED");
    await rejects(open.run(1, { filename: 7 }), "ERR_CARILLON_INVALID_ARGUMENT");
    await rejects(open.run(1, { name: 7 }), "ERR_CARILLON_INVALID_ARGUMENT");
    await open.destroy();
    await world.close();
    code("ERR_CARILLON_CLOSED", () => pool(world, { filename: tasks }));
  },
};

const [name] = process.argv.slice(2);
const world = await World.join();
await scenarios[name](world);
if (name !== "unfinished") await world.close();
