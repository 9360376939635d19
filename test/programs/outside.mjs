// Scenarios of test/outside.test.ts: what a program sees of Carillon from outside. Each joins by itself: some listen before they join.
import assert from "node:assert/strict";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { inspect } from "node:util";
import { isMainThread, Worker } from "node:worker_threads";
import { CarillonError, Communicator, Lease, Message, Offer, Request, World } from "carillon";
import { ComputePool } from "carillon/pool";
import { bytes, heard, nothingOutstanding, rejects, say, settled } from "./scenario.mjs";

const MIB = 1 << 20;
const CHANNELS = ["connect", "peer.lost", "peer.closed", "backpressure.on", "backpressure.off"];

/** What is published from here on, and a promise of the next. */
function listen(names = CHANNELS) {
  const all = [];
  const waiting = [];
  for (const name of names) {
    subscribe(`carillon:${name}`, (message, channel) => {
      assert.equal(channel, `carillon:${name}`);
      assert.equal(Object.getPrototypeOf(message), Object.prototype);
      all.push({ name, ...message });
      for (const look of waiting) look();
    });
  }
  const has = (name, count = 1) =>
    new Promise((resolve) => {
      const keepAlive = setInterval(() => {}, 1 << 30); // nothing else is outstanding
      const look = () => {
        if (all.filter((each) => each.name === name).length < count) return;
        clearInterval(keepAlive);
        resolve(all.filter((each) => each.name === name));
      };
      waiting.push(look);
      look();
    });
  return { all, has };
}

function posts(what) {
  return what();
}

const scenarios = {
  async stats() {
    const world = await World.join();
    const peer = 1 - world.rank;
    say({ keys: Object.keys(world.stats()) });
    for (const [key, value] of Object.entries(world.stats())) assert.ok(Number.isFinite(value) && value >= 0, key);
    if (world.rank === 0) {
      await world.recv({ source: peer });
      const before = world.stats();
      const since = (key) => world.stats()[key] - before[key];
      for (let i = 0; i < 50; ++i) await world.send(bytes(100, i), { dest: 1, tag: 5 });
      await world.send(bytes(0), { dest: 1, tag: 6 });
      assert.equal(since("sent"), 51);
      assert.equal(since("eagerSent"), 51);
      assert.equal(since("bytesSent"), 5000);
      await world.recv({ source: peer });
      const large = world.send(bytes(MIB), { dest: 1, tag: 7 });
      const synchronous = world.send(bytes(10), { dest: 1, tag: 7, synchronous: true });
      assert.equal(world.stats().outstanding, 2);
      assert.equal(world.stats().heldUp, 0, "an offer that is not taken is no back-pressure");
      await world.send(bytes(0), { dest: 1, tag: 8 });
      await Promise.all([large, synchronous]);
      assert.equal(since("offersSent"), 2);
      assert.equal(since("bytesSent"), 5000 + MIB + 10);
      const lease = world.allocate(MIB);
      await world.send(lease, { dest: 1, tag: 7 });
      assert.equal(since("leasesLent"), 1);
      await world.send(bytes(20), { dest: 0 });
      assert.deepEqual(["localSent", "sent", "bytesSent", "unexpectedNow", "unexpectedBytesNow"].map(since), [
        1,
        56,
        5000 + 2 * MIB + 30,
        1,
        20,
      ]);
      await world.recv({ source: 0 });
      assert.equal(world.stats().unexpectedNow, 0);
      assert.equal(world.stats().peersConnected, 1);
      await world.send(bytes(0), { dest: 1, tag: 9 });
    } else {
      const before = world.stats();
      const since = (key) => world.stats()[key] - before[key];
      const last = world.recv({ source: 0, tag: 6 });
      await world.send(bytes(0), { dest: 0 });
      await last;
      assert.deepEqual(["received", "unexpected", "unexpectedNow", "unexpectedBytesNow"].map(since), [1, 50, 50, 5000]);
      for (let i = 0; i < 50; ++i) await world.recv({ source: 0, tag: 5 });
      const { unexpectedMost, unexpectedBytesMost } = world.stats();
      assert.deepEqual([unexpectedMost, unexpectedBytesMost], [50, 5000]);
      assert.deepEqual(
        ["received", "unexpected", "unexpectedNow", "unexpectedBytesNow", "bytesReceived"].map(since),
        [51, 50, 0, 0, 5000],
      );
      await world.send(bytes(0), { dest: 0 });
      await world.recv({ source: 0, tag: 8 });
      for (let i = 0; i < 3; ++i) await world.recv({ source: 0, tag: 7 });
      await world.recv({ source: 0, tag: 9 });
      assert.equal(since("offersReceived"), 3);
      assert.equal(since("bytesReceived"), 5000 + 2 * MIB + 10);
      assert.equal(since("leasesMapped") + since("leasesCopied"), 1);
    }
    await world.barrier();
    await nothingOutstanding(world);
    const start = performance.now();
    for (let i = 0; i < 1000; ++i) world.stats();
    say({ snapshotMicroseconds: performance.now() - start });
    await world.close();
    assert.equal(world.stats().sent > 0, true, "the last snapshot stays");
    assert.deepEqual(world.stats(), world.stats());
  },

  /** Rank 0 leaves, rank 2 is killed, rank 1 has nothing outstanding and hears of both, in every thread. */
  async ends() {
    const { all, has } = listen();
    const world = await World.join();
    assert.deepEqual(all[0], {
      name: "connect",
      rank: world.rank,
      size: 3,
      doorbell: world.doorbell,
      peers: [0, 1, 2].filter((rank) => rank !== world.rank),
    });
    if (world.rank === 1) {
      const worker = new Worker(new URL(import.meta.url), { argv: ["worker"] });
      const [ready] = await once(worker, "message");
      assert.equal(ready, "joined");
      const inWorker = once(worker, "message");
      say({ ready: true });
      assert.deepEqual(await has("peer.closed"), [{ name: "peer.closed", rank: 0 }]);
      assert.equal(world.stats().peersConnected, 1);
      assert.equal(world.stats().outstanding, 0);
      say({ closed: true });
      const lost = { name: "peer.lost", rank: 2, code: "ERR_CARILLON_PEER_LOST", reason: "has died" };
      assert.deepEqual(await has("peer.lost"), [lost]);
      assert.equal(world.stats().peersConnected, 0);
      assert.deepEqual((await inWorker)[0], [{ name: "peer.closed", rank: 0 }, lost]);
      // Who joins when all is over hears of it, after it has joined.
      const late = new Worker(new URL(import.meta.url), { argv: ["worker"] });
      const told = [];
      late.on("message", (message) => told.push(message));
      await once(late, "exit");
      assert.deepEqual(told, ["joined", [{ name: "peer.closed", rank: 0 }, lost]]);
      await world.close();
      assert.equal(all.length, 3);
    } else {
      say({ ready: true });
      await heard();
      await world.close();
    }
  },

  /** It leaves when a receive says that the other has, which it does at once. */
  async leavesToo() {
    const { all } = listen();
    const world = await World.join();
    if (world.rank === 1) {
      await world.send(process.pid, { dest: 0 });
      return world.close();
    }
    const { value } = await world.recv({ source: 1 });
    const runs = () => {
      try {
        return process.kill(value, 0) && !/^State:\s+Z/m.test(readFileSync(`/proc/${value}/status`, "utf8"));
      } catch {
        return false;
      }
    };
    while (runs() || world.stats().peersConnected > 0);
    await assert.rejects(world.recv({ source: 1 }), { code: "ERR_CARILLON_PEER_CLOSED" });
    await world.close();
    assert.deepEqual(all.at(-1), { name: "peer.closed", rank: 1 });
  },

  async worker() {
    const { parentPort } = await import("node:worker_threads");
    const { all, has } = listen();
    const world = await World.join();
    assert.equal(all[0].name, "connect");
    parentPort.postMessage("joined");
    await Promise.all([has("peer.closed"), has("peer.lost")]);
    parentPort.postMessage(all.slice(1));
    await world.close();
  },

  /** Nothing is outstanding and nobody holds on: that a peer may end keeps nobody alive. */
  async letsGo() {
    listen();
    const world = await World.join();
    if (world.rank === 0) return; // ends by itself, unless something keeps it
    await rejects(world.recv({ source: 0 }), "ERR_CARILLON_PEER_CLOSED");
    await world.close();
  },

  async backpressure() {
    const { all, has } = listen(["backpressure.on", "backpressure.off"]);
    const world = await World.join({ maxUnexpectedBytes: MIB });
    const COUNT = 1000;
    for (const turn of [1, 2]) {
      if (world.rank === 0) {
        const large = world.send(bytes(MIB), { dest: 1, tag: 1 });
        await settled();
        assert.equal(all.length, 2 * (turn - 1), "a large send that waits for its receiver is no back-pressure");
        // 512 KB for who takes 64: on the way there is no room for all of it either.
        const sends = Array.from({ length: COUNT }, (_, i) => world.send(bytes(500, i), { dest: 1 }));
        const [{ waiting }] = (await has("backpressure.on", turn)).slice(-1);
        assert.ok(waiting >= 1 && waiting <= COUNT, `${waiting} wait`);
        assert.ok(world.stats().heldUp > 0);
        assert.equal(all.length, 2 * turn - 1);
        await world.send("go", { dest: 1, tag: 2, synchronous: true });
        const [{ duration }] = (await has("backpressure.off", turn)).slice(-1);
        assert.ok(duration > 0);
        assert.equal(world.stats().heldUp, 0);
        await Promise.all([large, ...sends]);
      } else {
        await world.recv({ tag: 2 });
        for (let i = 0; i < COUNT; ++i) await world.recv({ tag: 0 });
        await world.recv({ tag: 1 });
      }
      await world.barrier();
      assert.equal(all.length, world.rank === 0 ? 2 * turn : 0);
    }
    await world.close();
  },

  /** Who stops listening hears nothing; a subscriber that throws harms nobody. */
  async unsubscribed() {
    let heardOf = 0;
    const listener = () => {
      ++heardOf;
      throw new Error("on purpose");
    };
    const thrown = once(process, "uncaughtException");
    subscribe("carillon:connect", listener);
    const first = await World.join();
    assert.equal((await thrown)[0].message, "on purpose");
    assert.equal(heardOf, 1);
    await first.close();
    unsubscribe("carillon:connect", listener);
    const second = await World.join();
    assert.equal(heardOf, 1);
    await second.close();
  },

  async inspect() {
    const world = await World.join();
    const shown = (value) => inspect(value, { compact: false });
    assert.equal(shown(world), "World { rank: 0, size: 1 }");
    assert.equal(shown(await world.dup()), "Communicator { rank: 0, size: 1 }");
    const receive = world.recv({ source: 0, tag: 3 });
    assert.equal(shown(receive), "Request { recv source: 0, tag: 3, pending }");
    await world.send({ a: 1 }, { dest: 0, tag: 3 });
    const message = await receive;
    assert.match(shown(message), /^Message \{ source: 0, tag: 3, byteLength: \d+ \}$/);
    await world.send("x", { dest: 0, tag: 4 });
    const offer = world.tryMprobe();
    assert.equal(shown(offer), "Offer { source: 0, tag: 4, byteLength: 1, held }");
    offer.giveBack();
    const lease = world.allocate(10, Float64Array);
    assert.equal(shown(lease), "Lease { 10 of Float64Array }");
    lease.release();
    assert.equal(shown(lease), "Lease { released }");
    const pool = new ComputePool(world, { filename: new URL("pool-tasks.mjs", import.meta.url), maxThreads: 1 });
    assert.equal(shown(pool), "ComputePool { pool-tasks.mjs, threads: 1, queued: 0, completed: 0 }");
    await pool.close();
    const error = await rejects(world.send("x", { dest: 0, tag: -3 }), "ERR_CARILLON_INVALID_TAG");
    const lines = inspect(error).split("\n");
    assert.match(lines[0], /^CarillonError: send to rank 0: tag must be .*, not -3$/);
    assert.deepEqual(lines.slice(-4), [lines.at(-4), "  code: 'ERR_CARILLON_INVALID_TAG',", "  rank: 0", "}"]);
    assert.match(lines.at(-4), / \{$/);
    // In the depths of something else, and what is no instance.
    assert.equal(inspect({ world }, { depth: 0 }), "{ world: World { rank: 0, size: 1 } }");
    for (const each of [World, Communicator, Request, Message, Offer, Lease, ComputePool, CarillonError]) {
      assert.doesNotThrow(() => inspect(each.prototype, { getters: true, showHidden: true }), each.name);
    }
    await world.close();
    assert.equal(shown(world), "World { rank: 0, size: 1, closed }");
  },

  /** For NODE_DEBUG: joins, is held up, hears of an end, closes. */
  async debug() {
    const world = await World.join({ maxUnexpectedBytes: MIB });
    if (world.rank === 0) {
      const sends = Array.from({ length: 1000 }, (_, i) => world.send(bytes(500, i), { dest: 1 }));
      await world.send("go", { dest: 1, tag: 2, synchronous: true });
      await Promise.all(sends);
      await rejects(world.recv({ source: 1 }), "ERR_CARILLON_PEER_LOST");
      await world.close();
    } else {
      await world.recv({ tag: 2 });
      for (let i = 0; i < 1000; ++i) await world.recv({ tag: 0 });
      process.exit(1);
    }
  },

  /** Every error says what was asked: operation, peer and tag, as far as they make sense. */
  async errors() {
    const world = await World.join();
    const me = { dest: 0, tag: 4 };
    const check = async (promise, code, message, rank, tag) => {
      const error = await rejects(promise, code);
      assert.match(error.message, message);
      assert.ok(error.stack.startsWith(`CarillonError: ${error.message}\n`), error.stack);
      assert.deepEqual([error.rank, error.tag], [rank, tag], error.message);
    };
    const thrown = async (call) => call();
    await check(
      world.send("x", { dest: 7, tag: 4 }),
      "ERR_CARILLON_INVALID_RANK",
      /^send with tag 4: dest must be 0 /,
      undefined,
      4,
    );
    await check(world.recv({ source: "a" }), "ERR_CARILLON_INVALID_RANK", /^recv with any tag: source must be .*"a"$/);
    await check(
      world.recv({ source: 0, tag: 1.5 }),
      "ERR_CARILLON_INVALID_TAG",
      /^recv from rank 0: tag must be .* not 1.5$/,
      0,
    );
    await check(
      world.mprobe({ source: 9, tag: 4 }),
      "ERR_CARILLON_INVALID_RANK",
      /^mprobe with tag 4: source /,
      undefined,
      4,
    );
    await check(
      thrown(() => world.tryMprobe({ tag: -9 })),
      "ERR_CARILLON_INVALID_TAG",
      /^tryMprobe from any rank: tag /,
    );
    await check(
      world.send(Symbol("s"), me),
      "ERR_CARILLON_DATA_CLONE",
      /^send to rank 0 with tag 4: the value cannot/,
      0,
      4,
    );
    await check(
      world.send("x", { ...me, signal: 5 }),
      "ERR_CARILLON_INVALID_ARGUMENT",
      /^send to rank 0 with tag 4: signal /,
      0,
      4,
    );
    await check(
      world.send(undefined, undefined),
      "ERR_CARILLON_INVALID_RANK",
      /^send with tag 0: dest must be /,
      undefined,
      0,
    );
    const gone = new Uint8Array(8);
    structuredClone(gone.buffer, { transfer: [gone.buffer] });
    await check(
      world.send(gone, me),
      "ERR_CARILLON_BUFFER_DETACHED",
      /^send to rank 0 with tag 4: the view lies /,
      0,
      4,
    );
    await check(
      world.recv({ tag: 4, into: gone }),
      "ERR_CARILLON_BUFFER_DETACHED",
      /^recv from any rank with tag 4: into /,
      undefined,
      4,
    );
    const into = new Uint8Array(100);
    const receive = world.recv({ tag: 4, into });
    structuredClone(into.buffer, { transfer: [into.buffer] });
    await world.send(bytes(100), me);
    await check(
      receive,
      "ERR_CARILLON_BUFFER_DETACHED",
      /^recv from any rank with tag 4: `into` was transferred/,
      undefined,
      4,
    );
    const lease = world.allocate(8);
    lease.release();
    await check(
      world.send(lease, me),
      "ERR_CARILLON_LEASE_RELEASED",
      /^send to rank 0 with tag 4: the lease was released/,
      0,
      4,
    );
    await world.send(bytes(100), me);
    await check(
      world.recv({ tag: 4, into: new Uint8Array(9) }),
      "ERR_CARILLON_TRUNCATED",
      /^recv from any rank with tag 4: .*100 bytes/,
      0,
      4,
    );
    const message = await world.recv({ tag: 4 });
    message.release();
    const released = /^value of the message from rank 0 with tag 4: the message was released/;
    await check(
      thrown(() => message.value),
      "ERR_CARILLON_LEASE_RELEASED",
      released,
      0,
      4,
    );
    await world.send("x", me);
    const offer = world.tryMprobe();
    await offer.recv();
    await check(
      offer.recv(),
      "ERR_CARILLON_OFFER_TAKEN",
      /^recv of an offer from rank 0 with tag 4: it was received/,
      0,
      4,
    );
    const cancelled = world.recv({ source: 0, tag: 4 });
    cancelled.cancel();
    await check(cancelled, "ERR_CARILLON_CANCELLED", /^recv from rank 0 with tag 4: cancelled$/, 0, 4);
    await check(world.broadcast(1, { root: 3 }), "ERR_CARILLON_INVALID_RANK", /^broadcast: root must be 0 /);
    await check(world.scatter([1, 2]), "ERR_CARILLON_INVALID_ARGUMENT", /^scatter: values must be an array /);
    await check(world.allreduce([1], { op: "sun" }), "ERR_CARILLON_INVALID_ARGUMENT", /^allreduce: /);
    await check(world.split({ color: -1 }), "ERR_CARILLON_INVALID_ARGUMENT", /^split: color must be /);
    await check(world.barrier({ signal: 1 }), "ERR_CARILLON_INVALID_ARGUMENT", /^barrier: signal must be /);
    await check(World.join(), "ERR_CARILLON_ALREADY_JOINED", /^World.join: this thread /);
    await check(
      thrown(() => world.allocate(-1)),
      "ERR_CARILLON_INVALID_ARGUMENT",
      /^allocate: a lease has /,
    );
    await check(
      thrown(() => world.abort(0)),
      "ERR_CARILLON_INVALID_ARGUMENT",
      /^abort: code must be /,
    );
    await check(world.close({ timeout: -1 }), "ERR_CARILLON_INVALID_ARGUMENT", /^close: timeout must be /);
    const part = await world.dup();
    part.free();
    await check(
      part.send(1, me),
      "ERR_CARILLON_CLOSED",
      /^send to rank 0 with tag 4: the communicator was freed$/,
      0,
      4,
    );
    const open = world.recv({ source: 0, tag: 4 });
    await world.close();
    await check(open, "ERR_CARILLON_CLOSED", /^recv from rank 0 with tag 4: the world was closed$/, 0, 4);
    await check(world.recv(), "ERR_CARILLON_CLOSED", /^recv from any rank with any tag: the world was closed$/);
    await check(world.barrier(), "ERR_CARILLON_CLOSED", /^barrier: the world was closed$/);
    await check(World.join({ wait: "long" }), "ERR_CARILLON_INVALID_ARGUMENT", /^World.join: wait must be .*"long"$/);
    await check(
      World.join({ stacks: 1 }),
      "ERR_CARILLON_INVALID_ARGUMENT",
      /^World.join: stacks must be true or false, not 1$/,
    );
    process.env.CARILLON_STACKS = "yes";
    await check(World.join(), "ERR_CARILLON_ENVIRONMENT", /^CARILLON_STACKS must be 0 or 1, not "yes"$/);
  },

  /** A peer dies: `kept`, the error says where the receive was posted; else it does not. */
  async stacks(kept, how) {
    const world = await World.join(how === "option" ? { stacks: kept === "true" } : {});
    if (world.rank === 1) {
      await world.recv({ tag: 1 });
      process.exit(1);
    }
    const receive = posts(function asksForIt() {
      return world.recv({ source: 1 });
    });
    const cancelled = posts(function neverMind() {
      return world.mprobe({ source: 0 });
    });
    cancelled.cancel();
    await world.send("end", { dest: 1, tag: 1 });
    const { stack } = await rejects(receive, "ERR_CARILLON_PEER_LOST");
    const { stack: other } = await rejects(cancelled, "ERR_CARILLON_CANCELLED");
    const [before, after] = stack.split("    at recv (posted here)\n");
    if (kept === "true") {
      assert.match(before, /^CarillonError: recv from rank 1 with any tag: rank 1 has died\n/);
      assert.match(after, /^ {4}at asksForIt \(.*outside\.mjs:\d+:\d+\)\n/);
      assert.doesNotMatch(after, /dist\/src/);
      assert.match(other, /at mprobe \(posted here\)\n {4}at neverMind/);
    } else {
      assert.equal(after, undefined);
      assert.doesNotMatch(other, /posted here/);
    }
    // What failed at once has its caller in its stack anyway.
    const { stack: now } = await rejects(world.recv({ source: 5 }), "ERR_CARILLON_INVALID_RANK");
    assert.doesNotMatch(now, /posted here/);
    await world.close();
  },

  /** Nobody catches it: the process ends with the stack on stderr. */
  async uncaught() {
    const world = await World.join({ stacks: true });
    if (world.rank === 1) {
      await world.recv({ tag: 1 });
      process.exit(1);
    }
    posts(function nobodyCatches() {
      void world.recv({ source: 1 });
    });
    await world.send("end", { dest: 1, tag: 1 });
  },
};

const [name, ...words] = isMainThread ? process.argv.slice(2) : process.argv.slice(2);
await scenarios[name](...words);
