// Scenarios of test/pool-handing.test.ts: leases and messages as inputs and results of tasks. The tasks are in pool-handing-tasks.mjs.
import assert from "node:assert/strict";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { inspect } from "node:util";
import { Lease, Message } from "carillon";
import { ComputePool } from "carillon/pool";
import { bytes, nothingOutstanding, play, rejects, same, settled } from "./scenario.mjs";

const filename = new URL("./pool-handing-tasks.mjs", import.meta.url);
const TYPES = [Uint8Array, Float64Array, DataView];
const LENGTHS = [0, 8, 5000, 1 << 20];

const threads = (world, count, options = {}) =>
  new ComputePool(world, { filename, minThreads: count, maxThreads: count, ...options });
const counter = () => new Int32Array(new SharedArrayBuffer(4));
const bytesOf = ({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength);

/** Leased memory of this process, as the kernel knows it. */
const mappings = () => readFileSync("/proc/self/maps", "latin1").split("memfd:carillon").length - 1;
const descriptors = () =>
  readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith("/memfd:carillon");
    } catch {
      return false;
    }
  }).length;

function leaseOf(world, content, type = Uint8Array) {
  const lease = world.allocate(content.byteLength / (type.BYTES_PER_ELEMENT ?? 1), type);
  bytesOf(lease.data).set(content);
  return lease;
}

async function until(counted, goal) {
  while (Atomics.load(counted, 0) < goal) await settled();
}

/** Whatever a round leaves behind, it is not one region more each. */
async function leavesNothing(rounds, round) {
  let [most, mostOpen] = [0, 0];
  for (let i = 0; i < rounds; ++i) {
    await round(i);
    globalThis.gc?.();
    await settled();
    if (i === 3) [most, mostOpen] = [mappings(), descriptors()];
  }
  assert.ok(mappings() <= most + 2, `${mappings()} mappings, ${most} after four rounds`);
  assert.ok(descriptors() <= mostOpen + 2, `${descriptors()} descriptors, ${mostOpen} after four rounds`);
}

const scenarios = {
  async "there and back"(world) {
    const pool = threads(world, 1);
    let seed = 1;
    for (const type of TYPES) {
      for (const length of LENGTHS) {
        const leases = [0, 1].map((i) => leaseOf(world, bytes(length, seed + i), type));
        const [first] = leases;
        const regions = mappings();
        const task = { leases, deep: [0, { again: first }], type: type.name, seed };
        const running = pool.run(task, { name: "changes" });
        // From here on the thread's, and the task is as it was.
        assert.ok(first.released);
        assert.equal(first.byteLength, 0);
        assert.equal(first.buffer.byteLength, 0);
        assert.equal(inspect(first), "Lease { handed over }");
        assert.equal(task.leases, leases);
        await rejects(world.send(first, { dest: 0 }), "ERR_CARILLON_LEASE_RELEASED");
        const { all, one } = await running;
        assert.equal(one.first, all[0]);
        assert.ok(all[0] instanceof Lease && all[0].data instanceof type);
        all.forEach((lease, i) => {
          const expected = bytes(length, seed + i).map((byte) => byte ^ 0xff);
          same(bytesOf(lease.data), expected);
        });
        assert.equal(mappings(), regions); // the same pages, no others
        first.release(); // does nothing
        for (const lease of all) lease.release();
        seed += 2;
      }
    }
    const [made] = await pool.run({ length: 3000, seed: 5 }, { name: "makes" });
    same(made.data, bytes(3000, 5));
    // A lease is the whole task, and the whole result; and what is none goes by as it is.
    const back = await pool.run(made, { name: "identity" });
    same(back.data, bytes(3000, 5));
    await pool.destroy();
    same(back.data, bytes(3000, 5)); // the thread that made it has ended
    back.release();
  },

  /** The same memory back and forth, collected in between. */
  async "many times"(world, rounds) {
    const pool = threads(world, 2);
    const sizes = [4096, 100_000, 1 << 20];
    let leases = sizes.map((size, i) => leaseOf(world, bytes(size, i)));
    const regions = mappings();
    for (let round = 0; round < Number(rounds); ++round) {
      const changed = await Promise.all(
        leases.map((lease, i) =>
          pool.run({ leases: [lease], deep: [0, { again: lease }], type: "Uint8Array", seed: i }, { name: "changes" }),
        ),
      );
      leases = changed.map(({ all: [lease] }, i) => {
        for (let k = 0; k < lease.data.length; k++) lease.data[k] ^= 0xff;
        same(lease.data, bytes(sizes[i], i));
        return lease;
      });
      if (round % 16 === 0) globalThis.gc?.();
    }
    assert.equal(mappings(), regions);
    await pool.destroy();
  },

  /** Nothing is handed over by a task that is not taken on. */
  async refused(world) {
    const pool = threads(world, 1);
    const leases = [1, 2].map((seed) => leaseOf(world, bytes(5000, seed)));
    const [first, second] = leases;
    const whole = () => {
      leases.forEach((lease, i) => {
        assert.equal(lease.released, false);
        same(lease.data, bytes(5000, i + 1));
      });
    };
    const gone = world.allocate(8);
    gone.release();
    await rejects(pool.run({ leases, gone }), "ERR_CARILLON_LEASE_RELEASED");
    whole();
    const used = world.allocate(8);
    const use = world.recv({ tag: 9, into: used });
    await rejects(pool.run([leases, used]), "ERR_CARILLON_LEASE_IN_USE");
    whole();
    assert.equal(use.state, "pending");
    await world.send(new Uint8Array(8), { dest: 0, tag: 9 });
    await use;
    same((await pool.run(used, { name: "identity" })).data, new Uint8Array(8));
    // What the pool itself refuses.
    await assert.rejects(pool.run({ leases, f() {} }), { name: "DataCloneError" });
    whole();
    await assert.rejects(pool.run({ leases }, { signal: AbortSignal.abort() }), { name: "AbortError" });
    whole();
    await assert.rejects(pool.run({ leases }, { transferList: 7 }), TypeError);
    whole();
    await rejects(pool.run({ leases }, { name: 7 }), "ERR_CARILLON_INVALID_ARGUMENT");
    whole();
    // One that cannot be cloned is found out when a thread takes it.
    const running = counter();
    const endless = new AbortController();
    const busy = pool.run({ running }, { name: "forever", signal: endless.signal });
    await until(running, 1);
    const later = pool.run({ leases, f() {} });
    assert.ok(first.released && second.released);
    endless.abort();
    await assert.rejects(busy, { name: "AbortError" });
    await assert.rejects(later, { name: "DataCloneError" });
    whole();
    same((await pool.run({ first, second }, { name: "identity" })).second.data, bytes(5000, 2));
    await pool.destroy();
    const full = threads(world, 1, { maxQueue: 1 });
    const stuck = [1, 2].map(() => full.run({ running }, { name: "forever" }).catch(() => {}));
    const extra = leaseOf(world, bytes(100));
    await assert.rejects(full.run(extra), /queue/i);
    same(extra.data, bytes(100));
    await full.destroy();
    await Promise.all(stuck);
  },

  /** Where leases are not looked for, and what the thread may not hand over. */
  async bounds(world) {
    const pool = threads(world, 1);
    const lease = leaseOf(world, bytes(50));
    class Own {
      lease = lease;
    }
    const { map, set, own } = await pool.run(
      { map: new Map([[1, lease]]), set: new Set([lease]), own: new Own() },
      { name: "identity" },
    );
    assert.deepEqual([map.get(1), [...set][0], own.lease], [{}, {}, {}]);
    assert.equal(lease.released, false);
    const cycle = { lease };
    cycle.self = cycle;
    const back = await pool.run(cycle, { name: "identity" });
    assert.equal(back.self, back);
    same(back.lease.data, bytes(50));
    const { lease: other } = back;
    // What a result uses stays the thread's, and is an error.
    await rejects(pool.run({ lease: other }, { name: "inUse" }), "ERR_CARILLON_LEASE_IN_USE");
    // A key that names the prototype is a key like any other.
    const hostile = JSON.parse('{"__proto__": {"at": 1}}');
    Object.getOwnPropertyDescriptor(hostile, "__proto__").value.at = world.allocate(8);
    const honest = await pool.run(hostile, { name: "identity" });
    assert.ok(Object.getOwnPropertyDescriptor(honest, "__proto__").value.at instanceof Lease);
    assert.equal({}.at, undefined);
    await pool.destroy();
  },

  /** Tasks that no thread takes, in each way there is: their memory comes back. */
  async "never taken"(world) {
    const make = () => {
      const lease = world.allocate(1 << 20);
      lease.data[0] = 7;
      return lease;
    };
    await leavesNothing(6, async (round) => {
      const running = counter();
      const pool = threads(world, 1, { concurrentTasksPerWorker: 2 });
      const ended = [pool.run({ running }, { name: "forever" }).catch(() => {})];
      await until(running, 1);
      const controller = new AbortController();
      const { signal } = controller;
      // Given to a thread that never comes to it; in line; in line and aborted.
      for (const options of [{}, {}, { signal }]) {
        ended.push(pool.run({ lease: make(), running }, { name: "keeps", ...options }).catch(() => {}));
      }
      await settled();
      controller.abort();
      if (round % 2) await settled();
      await pool.destroy();
      await Promise.all(ended);
      assert.equal(Atomics.load(running, 0), 1);
    });
  },

  /** Threads that end with what they were given, or while it comes and goes. */
  async "ends of threads"(world) {
    await leavesNothing(5, async (round) => {
      const running = counter();
      const pool = threads(world, 2);
      const controller = new AbortController();
      const lease = world.allocate(1 << 20);
      lease.data[0] = 7;
      const { signal } = controller;
      const kept = pool.run({ lease, running }, { name: "keeps", signal });
      await until(running, 1);
      const passing = Promise.allSettled(
        [1, 2, 3].map(async () => {
          let back = world.allocate(1 << 20);
          for (;;) back = await pool.run(back, { name: "identity" });
        }),
      );
      for (let turn = 0; turn < round % 5; ++turn) await settled();
      controller.abort();
      await assert.rejects(kept, { name: "AbortError" });
      await pool.destroy();
      assert.ok((await passing).every(({ status }) => status === "rejected"));
    });
  },

  /** The thread whose pool it is ends with tasks under way. */
  async "ends of pools"(world) {
    const outer = new ComputePool(world, {
      filename: new URL("./pool-handing-nested.mjs", import.meta.url),
      minThreads: 1,
      maxThreads: 1,
    });
    await leavesNothing(5, async () => {
      const running = counter();
      const controller = new AbortController();
      const inner = outer.run({ running }, { signal: controller.signal });
      await until(running, 1);
      controller.abort();
      await assert.rejects(inner, { name: "AbortError" });
    });
    await outer.destroy();
  },

  /** A lease on its way through a thread of each rank. */
  async onwards(world) {
    const pool = threads(world, 1);
    if (world.rank === 0) {
      for (const size of [100, 100_000, 3 << 20]) {
        await pool.run({ lease: leaseOf(world, bytes(size, size)), dest: 1 }, { name: "sends" });
        const { value } = await world.recv({ source: 1 });
        same(value, bytes(size, size));
      }
    } else {
      for (let i = 0; i < 3; ++i) {
        const message = await world.recv({ source: 0, tag: 0 });
        const { byteLength } = message;
        const back = await pool.run({ message }, { name: "answers" });
        assert.ok(back instanceof Message);
        same(back.value, bytes(byteLength, byteLength));
        assert.throws(() => message.value, { code: "ERR_CARILLON_LEASE_RELEASED" });
        back.release();
      }
    }
    await pool.destroy();
  },

  /** Messages of each size, and from each kind of memory: inline, copied, pulled, leased; and into the caller's. */
  async messages(world) {
    const sizes = [0, 1, 60, 5000, 40_000, 100_000, 3 << 20];
    if (world.rank === 0) {
      for (const size of sizes) {
        await world.send(bytes(size, size), { dest: 1, tag: 1 });
        await world.send({ size, body: bytes(size, size) }, { dest: 1, tag: 2 });
        await world.send(leaseOf(world, bytes(size, size)), { dest: 1, tag: 3 });
        await world.send(bytes(size, size), { dest: 1, tag: 4 });
      }
      return;
    }
    const pool = threads(world, 1, { name: "reads" });
    for (const size of sizes) {
      for (const tag of [1, 2, 3]) {
        const message = await world.recv({ source: 0, tag });
        const { byteLength } = message;
        const found = await pool.run(message);
        assert.deepEqual([found.source, found.tag, found.byteLength], [0, tag, byteLength]);
        if (tag === 2) assert.equal(found.value.size, size);
        same(tag === 2 ? found.value.body : found.value, bytes(size, size));
        assert.throws(() => message.value, { code: "ERR_CARILLON_LEASE_RELEASED" });
        await rejects(pool.run(message), "ERR_CARILLON_LEASE_RELEASED");
      }
      // The caller's memory stays the caller's.
      const into = new Uint8Array(size + 10);
      const message = await world.recv({ source: 0, tag: 4, into });
      same((await pool.run(message)).value, bytes(size, size));
      same(into.subarray(0, size), bytes(size, size));
      same(message.value, bytes(size, size));
    }
    // Refused: as it was.
    for (const size of [10, 5000, 100_000]) {
      await world.send(bytes(size, size), { dest: 1, tag: 5 });
      const message = await world.recv({ tag: 5 });
      await assert.rejects(pool.run({ message, f() {} }), { name: "DataCloneError" });
      same(message.value, bytes(size, size));
    }
    await pool.destroy();
    await nothingOutstanding(world);
  },
};

await play(scenarios);
