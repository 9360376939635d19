// Scenarios of test/leases.test.ts. Two ranks unless said: rank 0 lends, rank 1 borrows.
import assert from "node:assert/strict";
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { Lease, World } from "carillon";
import { bytes, play, random, rejects, same, say, settled } from "./scenario.mjs";

const file = fileURLToPath(import.meta.url);
const MiB = 2 ** 20;
const descriptors = () => readdirSync("/proc/self/fd").length;
const regions = () => readFileSync("/proc/self/maps", "latin1").split("memfd:carillon").length - 1;
const code = (expected) => (error) => error.code === expected || assert.fail(`${expected}, not ${error.stack}`);

/** Everybody waits for everybody; what was released has been given back, as far as it goes without a look. */
async function meet(world, tag = 1000) {
  for (let other = 0; other < world.size; ++other)
    if (other !== world.rank) void world.send(null, { dest: other, tag });
  for (let other = 0; other < world.size; ++other) if (other !== world.rank) await world.recv({ source: other, tag });
}

function leaseOf(world, content) {
  const lease = world.allocate(content.length, content.constructor);
  lease.data.set(content);
  return lease;
}

async function collect() {
  for (let i = 0; i < 6; ++i) {
    globalThis.gc();
    await settled();
  }
}

/** Takes home what peers gave back, and says what is still out. */
function out(world) {
  world.allocate(1).release();
  return world.stats().leasesOut;
}

const SIZES = [1, 8, 64, 65, 4095, 4096, 4097, 15_999, 16_000, 16_001, 65_536, 300_000, 1_000_003];

const scenarios = {
  /** Every type and size arrives as what it was, from rank 0 at the rank given. */
  async contents(world, to) {
    const dest = Number(to);
    const typed = [Uint8Array, Int8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array]
      .concat([Float32Array, Float64Array, BigInt64Array, BigUint64Array])
      .flatMap((type) => [3, 5000].map((length) => new type(bytes(length * type.BYTES_PER_ELEMENT, length).buffer)));
    const all = [new Uint8Array(0), ...SIZES.map((size, i) => bytes(size, i)), ...typed];
    for (const synchronous of [false, true]) {
      for (const content of all) {
        const receive = world.rank === dest ? world.recv({ source: 0, tag: 3 }) : undefined;
        if (world.rank === 0) {
          const lease = leaseOf(world, content);
          assert.equal(lease.byteLength, content.byteLength);
          assert.equal(lease.buffer.byteLength, content.byteLength);
          assert.ok(lease instanceof Lease);
          const send = world.send(lease, { dest, tag: 3, synchronous });
          assert.equal(lease.data.length, 0);
          assert.equal(lease.buffer.byteLength, 0);
          assert.equal(lease.byteLength, 0);
          assert.ok(lease.released);
          await send;
        }
        if (!receive) continue;
        const message = await receive;
        assert.deepEqual(message.value, content);
        assert.equal(message.value.constructor, content.constructor);
        assert.equal(message.byteLength, content.byteLength);
        assert.equal(message.value.byteOffset, 0);
        if (content.length > 0) message.value[0] = content[1 % content.length];
        message.release();
        assert.equal(message.data.length, 0);
      }
    }
    if (world.rank === 0) {
      const view = world.allocate(40_000, DataView);
      view.data.setFloat64(8, 1.5);
      void world.send(view, { dest, tag: 3 });
    }
    if (world.rank !== dest) return;
    const { value } = await world.recv({ source: 0, tag: 3 });
    assert.ok(value instanceof DataView);
    assert.equal(value.byteLength, 40_000);
    assert.equal(value.getFloat64(8), 1.5);
  },

  /** 64 MiB, again and again: one region, one mapping, and what the receiver scribbles never shows. */
  async scribbles(world) {
    const WORDS = 16 * MiB;
    const PAGE = 1024;
    const everyPage = (words, holds) => {
      for (let i = 0; i < WORDS; i += PAGE) if (!holds(words[i + ((i / PAGE) % PAGE)])) return false;
      return true;
    };
    for (let round = 0; round < 3; ++round) {
      if (world.rank === 0) {
        const lease = world.allocate(WORDS, Float32Array);
        if (round > 0)
          assert.ok(
            everyPage(lease.data, (each) => each === round - 1),
            "the receiver's writing shows",
          );
        lease.data.fill(round);
        await world.send(lease, { dest: 1 });
        await world.recv({ tag: 1 });
      } else {
        const message = await world.recv();
        assert.equal(message.value.length, WORDS);
        assert.ok(everyPage(message.value, (each) => each === round));
        message.value.fill(99, 0, round === 0 ? WORDS : PAGE);
        assert.equal(message.value[0], 99);
        message.release();
        await world.send(null, { dest: 0, tag: 1 });
      }
    }
    const { leasesMapped, leasesMappedAnew, leasesCopied, leasesLent } = world.stats();
    if (world.rank === 0) assert.equal(leasesLent, 3);
    else
      assert.deepEqual(
        { leasesMapped, leasesMappedAnew, leasesCopied },
        { leasesMapped: 3, leasesMappedAnew: 1, leasesCopied: 0 },
      );
  },

  /** World of one. */
  async laws(world) {
    const invalid = code("ERR_CARILLON_INVALID_ARGUMENT");
    for (const length of [-1, 1.5, Number.NaN, "8", 2 ** 40, undefined, 8n])
      assert.throws(() => world.allocate(length), invalid);
    for (const type of [Array, Buffer, "Float64Array", null, class extends Uint8Array {}])
      assert.throws(() => world.allocate(1, type), invalid);
    assert.throws(() => world.allocate(2 ** 30, Float64Array), invalid);

    const lease = world.allocate(100_000);
    assert.match(`${lease.data.constructor.name} ${lease.byteLength}`, /^Uint8Array 100000$/);
    const alias = new Uint16Array(lease.buffer, 8, 4);
    lease.release();
    lease.release();
    assert.equal(alias.length, 0);
    assert.ok(lease.released);
    await rejects(world.send(lease, { dest: 0 }), "ERR_CARILLON_LEASE_RELEASED");
    await rejects(world.recv({ into: lease }), "ERR_CARILLON_LEASE_RELEASED");
    await rejects(world.send(alias, { dest: 0 }), "ERR_CARILLON_BUFFER_DETACHED");

    const disposed = world.allocate(10);
    disposed[Symbol.dispose](); // as `using` does, which this Node.js may not have
    assert.ok(disposed.released);

    // An argument that is wrong leaves the lease alone.
    const kept = world.allocate(10);
    await rejects(world.send(kept, { dest: 7 }), "ERR_CARILLON_INVALID_RANK");
    await rejects(world.send(kept, { dest: 0, tag: -4 }), "ERR_CARILLON_INVALID_TAG");
    await rejects(world.send(kept, { dest: 0, signal: AbortSignal.abort(new RangeError("no")) }), undefined);
    await rejects(world.send({ kept }, { dest: 0 }), "ERR_CARILLON_DATA_CLONE");
    assert.ok(!kept.released);
    await world.send(kept, { dest: 0 });
    await rejects(world.send(kept, { dest: 0 }), "ERR_CARILLON_LEASE_RELEASED");
    const message = await world.recv();
    message.release();
    message.release();
    assert.throws(() => message.value, code("ERR_CARILLON_LEASE_RELEASED"));
    assert.equal(message.byteLength, 10);

    // Any message can be released; memory of the caller's stays.
    await world.send("hello", { dest: 0 });
    const text = await world.recv();
    assert.equal(text.value, "hello");
    text[Symbol.dispose]();
    assert.equal(text.data.length, 0);
    await world.send(bytes(1000), { dest: 0 });
    const into = new Uint8Array(1000);
    const given = await world.recv({ into });
    given.release();
    assert.equal(into.length, 1000);
    same(given.value, bytes(1000));

    const late = world.allocate(1000);
    late.data.fill(3);
    await world.send(leaseOf(world, bytes(50_000)), { dest: 0 });
    const held = await world.recv();
    void world.send(leaseOf(world, bytes(50_000)), { dest: 0, tag: 9 });
    await world.close();
    assert.throws(() => world.allocate(1), code("ERR_CARILLON_CLOSED"));
    // What was held outlives the world.
    assert.equal(late.data[999], 3);
    same(held.value, bytes(50_000));
    late.release();
    held.release();
    assert.equal(regions(), 0);
  },

  /** A buffer that the program moves away keeps its memory, whatever is released. */
  async transferred(world) {
    const move = (buffer) => {
      if (buffer.transfer) return buffer.transfer();
      try {
        return structuredClone(buffer, { transfer: [buffer] });
      } catch (error) {
        assert.equal(error.name, "DataCloneError");
        return undefined;
      }
    };
    const content = bytes(100_000);
    const lease = leaseOf(world, content);
    const moved = move(lease.buffer);
    if (lease.buffer.byteLength === 0) {
      await rejects(world.send(lease, { dest: 0 }), "ERR_CARILLON_BUFFER_DETACHED");
      await rejects(world.recv({ into: lease }), "ERR_CARILLON_BUFFER_DETACHED");
    }
    lease.release();
    leaseOf(world, bytes(100_000, 1));
    if (moved) same(new Uint8Array(moved), content);

    void world.send(leaseOf(world, content), { dest: 0 });
    const message = await world.recv();
    const taken = move(message.data.buffer);
    message.release();
    leaseOf(world, bytes(100_000, 2));
    if (taken) same(new Uint8Array(taken), content);
  },

  /** More than there are loan words: the rest is copied. */
  async many(world) {
    const COUNT = 400;
    const TAGS = 4;
    const MAPPED = 256;
    if (world.rank === 0) {
      const sends = [];
      for (let i = 0; i < COUNT; ++i) {
        sends.push(world.send(leaseOf(world, bytes(20_000 + i, i)), { dest: 1, tag: Math.floor(i / 10) % TAGS }));
      }
      await Promise.all(sends);
      await meet(world);
      assert.equal(out(world), MAPPED);
      await meet(world, 1001);
      await meet(world, 1002);
      assert.equal(out(world), 0);
    } else {
      const messages = [];
      for (let start = 0; start < COUNT; start += 10 * TAGS) {
        for (let tag = TAGS - 1; tag >= 0; --tag) {
          for (let i = start + tag * 10; i < start + tag * 10 + 10; ++i) {
            messages[i] = await world.recv({ tag });
          }
        }
      }
      assert.equal(world.stats().leasesMapped, MAPPED);
      await meet(world);
      await meet(world, 1001);
      for (let i = 0; i < COUNT; ++i) {
        same(messages[i].value, bytes(20_000 + i, i), `lease ${i}`);
        messages[i].release();
      }
      await meet(world, 1002);
    }
  },

  /** The bytes of leases into every kind of memory, and of every kind of message into leases. */
  async into(world) {
    const targets = {
      ordinary: (size) => new Uint8Array(size),
      shared: (size) => new Uint8Array(new SharedArrayBuffer(size)),
      lease: (size) => world.allocate(size),
      "view of a lease": (size) => new Uint8Array(world.allocate(size + 500).buffer, 16, size),
    };
    const sources = { lease: leaseOf, message: (_, content) => content };
    for (const size of [40, 5000, 50_000, 700_000]) {
      for (const [from, source] of Object.entries(sources)) {
        for (const [to, target] of Object.entries(targets)) {
          const content = bytes(size, size);
          if (world.rank === 0) {
            await world.send(source(world, content), { dest: 1 });
            await meet(world);
            continue;
          }
          const small = target(size - 1);
          const error = await rejects(world.recv({ into: small }), "ERR_CARILLON_TRUNCATED");
          assert.equal(error.byteLength, size);
          const into = target(size + 3);
          const message = await world.recv({ into });
          same(message.value, content, `${from} into ${to}`);
          assert.equal(message.data.buffer, into.buffer);
          message.release();
          same(message.value, content);
          await meet(world);
        }
      }
    }
    if (world.rank === 0) assert.equal(out(world), 0);
  },

  /** What a request still uses is not handed over, and is not given back before. */
  async uses(world) {
    const SIZE = 3 * MiB;
    if (world.rank === 0) {
      const lease = world.allocate(SIZE);
      lease.data.set(bytes(SIZE / 2));
      // An ordinary send out of a lease: not copied here, and the lease remains.
      const view = world.send(lease.data.subarray(0, SIZE / 2), { dest: 1, tag: 1 });
      await rejects(world.send(lease, { dest: 1 }), "ERR_CARILLON_LEASE_IN_USE");
      assert.ok(!lease.released);
      void world.send(null, { dest: 1, tag: 2 });
      await view;
      same(lease.data.subarray(0, SIZE / 2), bytes(SIZE / 2));
      // Released in flight: the memory stays for the request.
      const second = world.send(lease.data.subarray(0, SIZE / 2), { dest: 1, tag: 1 });
      lease.release();
      assert.equal(lease.data.length, 0);
      const others = [world.allocate(SIZE), world.allocate(SIZE)];
      for (const other of others) other.data.fill(1);
      void world.send(null, { dest: 1, tag: 2 });
      await second;
      for (const other of others) other.release();

      const into = world.allocate(SIZE);
      const receive = world.recv({ tag: 3, into });
      await rejects(world.send(into, { dest: 1 }), "ERR_CARILLON_LEASE_IN_USE");
      void world.send(null, { dest: 1, tag: 2 });
      assert.equal((await receive).data.buffer, into.buffer);
      same(into.data.subarray(0, SIZE / 2), bytes(SIZE / 2, 1));
      await world.send(into, { dest: 1, tag: 4 });

      const gone = world.allocate(SIZE);
      const lost = world.recv({ tag: 3, into: gone });
      gone.release();
      void world.send(null, { dest: 1, tag: 2 });
      await rejects(lost, "ERR_CARILLON_BUFFER_DETACHED");
    } else {
      for (let i = 0; i < 2; ++i) {
        await world.recv({ tag: 2 });
        same((await world.recv({ tag: 1 })).value, bytes(SIZE / 2));
      }
      await world.recv({ tag: 2 });
      await world.send(bytes(SIZE / 2, 1), { dest: 0, tag: 3 });
      const { value } = await world.recv({ tag: 4 });
      assert.equal(value.length, SIZE);
      same(value.subarray(0, SIZE / 2), bytes(SIZE / 2, 1));
      await world.recv({ tag: 2 });
      await world.send(bytes(SIZE / 2, 1), { dest: 0, tag: 3 });
    }
  },

  async cancelled(world) {
    if (world.rank === 0) {
      for (const dest of [0, 1]) {
        const lease = leaseOf(world, bytes(MiB));
        const request = world.send(lease, { dest, tag: 6, synchronous: true });
        assert.ok(request.cancel());
        await rejects(request, "ERR_CARILLON_CANCELLED");
        assert.ok(lease.released, "a lease is gone with the send that was cancelled");
        await settled();
        assert.ok(world.stats().leaseIdleBytes >= MiB, "and its memory is back");
      }
      const large = world.allocate(64 * MiB);
      const resident = process.memoryUsage.rss();
      const request = world.send(large, { dest: 1, tag: 6 });
      assert.ok(process.memoryUsage.rss() - resident < 16 * MiB, "a lease is copied at its sender");
      assert.ok(request.cancel());
      await world.send(leaseOf(world, bytes(MiB, 2)), { dest: 1, tag: 5 });
    } else {
      same((await world.recv({ tag: 5 })).value, bytes(MiB, 2));
    }
  },

  /** Nothing overtakes, whatever is a lease. */
  async order(world) {
    const next = random(5);
    const COUNT = 300;
    const receives = [];
    for (let i = 0; i < COUNT; ++i) {
      const size = Math.floor(next() ** 3 * 200_000) + 4;
      const asLease = next() < 0.5;
      const synchronous = next() < 0.1;
      if (world.rank === 0) {
        const content = bytes(size, i);
        const send = world.send(asLease ? leaseOf(world, content) : content, { dest: 1, synchronous });
        if (next() < 0.1) await send;
      } else if (next() < 0.5) {
        receives.push(world.recv());
      } else {
        receives.push(world.recv());
        await receives.at(-1);
      }
      if (world.rank === 1)
        receives[i] = receives[i].then((message) => same(message.value, bytes(size, i), `message ${i}`));
    }
    await Promise.all(receives);
    await meet(world);
  },

  /** Both directions at once; afterwards there is what there was. Run with --expose-gc. */
  async rounds(world, how) {
    const other = 1 - world.rank;
    const round = async (i) => {
      const size = 20_000 + (i % 7) * 50_000;
      const receive = world.recv({ source: other, tag: 6 });
      const lease = leaseOf(world, bytes(size, i));
      if (i % 11 === 0) leaseOf(world, bytes(10));
      await world.send(lease, { dest: other, tag: 6 });
      const message = await receive;
      same(message.value, bytes(size, i));
      if (how === "release") message.release();
      else if (i % 20 === 0) await collect();
    };
    for (let i = 0; i < 60; ++i) await round(i);
    await collect();
    await meet(world);
    const before = { descriptors: descriptors(), regions: regions() };
    for (let i = 0; i < 60; ++i) await round(i);
    await collect();
    await meet(world);
    const after = { descriptors: descriptors(), regions: regions() };
    say({ before, after, stats: world.stats() });
    assert.equal(out(world), 0);
    // As many as the rounds needed at once, not one a round.
    assert.ok(
      after.descriptors <= before.descriptors + 25,
      `${after.descriptors} descriptors, before ${before.descriptors}`,
    );
    assert.ok(after.regions <= before.regions + 50, `${after.regions} regions, before ${before.regions}`);
    await meet(world);
    await world.close();
    await collect();
    assert.equal(regions(), 0);
  },

  /** The memory's descriptor names something else: the receiver copies the body instead. */
  async refused(world) {
    if (world.rank === 0) {
      const memfds = () =>
        readdirSync("/proc/self/fd").filter((fd) =>
          safely(() => readlinkSync(`/proc/self/fd/${fd}`).startsWith("/memfd:carillon")),
        );
      const known = memfds();
      const lease = leaseOf(world, bytes(MiB));
      const [fd] = memfds().filter((each) => !known.includes(each));
      closeSync(Number(fd));
      assert.equal(openSync("/dev/null"), Number(fd));
      await world.send(lease, { dest: 1 });
    } else {
      same((await world.recv()).value, bytes(MiB));
      assert.equal(world.stats().leasesCopied, 1);
      assert.equal(world.stats().leasesMapped, 0);
    }
  },

  /** Rank 0 survives; rank 1 is killed while leases go both ways and both hold some. */
  async killed(world) {
    const other = 1 - world.rank;
    const held = [];
    const before = regions();
    const lost = (error) => {
      if (error.code !== "ERR_CARILLON_PEER_LOST") throw error;
    };
    const sending = async () => {
      for (let i = 0; ; ++i) await world.send(leaseOf(world, bytes(30_000 + (i % 3) * 400_000, i)), { dest: other });
    };
    const receiving = async () => {
      for (let i = 0; ; ++i) {
        const message = await world.recv({ source: other });
        if (i === 20) say({ flowing: true });
        held.push({ i, message });
        if (held.length > 10) held.shift().message.release();
      }
    };
    await Promise.all([sending().catch(lost), receiving().catch(lost)]);
    // What the dead one lent is still there.
    for (const { i, message } of held) same(message.value, bytes(30_000 + (i % 3) * 400_000, i), `lease ${i}`);
    for (const { message } of held) message.release();
    await settled();
    world.allocate(1).release();
    assert.equal(world.stats().leasesOut, 0);
    assert.equal(world.stats().leaseMappingsKept, 0);
    await world.close();
    assert.ok(regions() <= before);
  },

  /** Worker threads that are terminated while they send and hold leases. */
  async workers(world, rounds) {
    const other = 1 - world.rank;
    for (let round = 0; round < Number(rounds); ++round) {
      const worker = new Worker(file, { workerData: { other } });
      const exit = new Promise((resolve) => worker.once("exit", resolve));
      worker.once("error", (error) => {
        throw error;
      });
      await new Promise((resolve) => worker.once("message", resolve));
      await meet(world, 999); // the other's has what it waits for too
      await worker.terminate();
      await exit;
      await meet(world);
    }
    // What the last worker sent and nobody took; then the owner's look finds everything at home.
    await meet(world, 1001);
    for (;;) {
      const rest = world.recv({ tag: 7 });
      await settled();
      if (rest.cancel()) break;
      (await rest).release();
    }
    await meet(world, 1002);
    assert.equal(out(world), 0);
    await meet(world, 1003);
    await world.close();
    assert.equal(regions(), 0);
  },

  /** Rank 1 leaves while rank 0 sends to it and holds what it sent. */
  async closed(world) {
    if (world.rank === 0) {
      const message = await world.recv();
      const sends = [1, 2, 3].map((i) => world.send(leaseOf(world, bytes(MiB, i)), { dest: 1, tag: i }));
      for (const send of sends) await rejects(send, "ERR_CARILLON_PEER_CLOSED");
      same(message.value, bytes(MiB));
      message.release();
      assert.equal(out(world), 0);
      assert.equal(world.stats().leaseMappingsKept, 0);
    } else {
      await world.send(leaseOf(world, bytes(MiB)), { dest: 0 });
    }
  },
};

function safely(look) {
  try {
    return look();
  } catch {
    return false; // the folder's own descriptor
  }
}

if (isMainThread) {
  await play(scenarios);
} else {
  const world = await World.join();
  const held = [];
  let seen = 0;
  const receive = async () => {
    for (;;) {
      held.push(await world.recv({ tag: 7 }));
      if (held.length > 5) held.shift().release();
      if (++seen === 3) parentPort.postMessage("go");
    }
  };
  const send = async () => {
    for (let i = 0; ; ++i)
      await world.send(leaseOf(world, bytes(20_000 + (i % 4) * 100_000, i)), { dest: workerData.other, tag: 7 });
  };
  const ends = (error) => {
    if (error.code !== "ERR_CARILLON_CLOSED") throw error;
  };
  await Promise.all([receive().catch(ends), send().catch(ends), send().catch(ends)]);
}
