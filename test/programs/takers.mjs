// Scenarios of test/takers.test.ts: what a standing taker takes, in which order, what it leaves to others, and how it ends.
import assert from "node:assert/strict";
import { bytes, play, random, same, settled } from "./scenario.mjs";

const DONE = 99; // the tag of what the ranks agree on

/** A taker that collects; `until(n)` resolves with the messages when there are n. */
function collect(world, options = {}) {
  const messages = [];
  let wanted = Infinity;
  let enough = () => {};
  let over = () => {};
  const ended = new Promise((resolve) => {
    over = resolve;
  });
  const taker = world.take({
    ...options,
    deliver(message) {
      messages.push(message);
      if (messages.length === wanted) enough();
    },
    ended: over,
  });
  const until = (count) =>
    new Promise((resolve) => {
      wanted = count;
      enough = () => resolve(messages);
      if (messages.length >= count) enough();
    });
  return { taker, messages, until, ended };
}

const cancelled = async ({ ended }) => assert.equal((await ended).code, "ERR_CARILLON_CANCELLED");

await play({
  /** Sizes from nothing to what is pulled, several tags, a ring that is small for them: all come, whole and in order. */
  async all(world, seed, capacity) {
    const count = 4000;
    const plan = () => {
      const next = random(Number(seed));
      return Array.from({ length: count }, (_, i) => {
        const kind = next();
        const size = Math.floor(next() * (kind < 0.8 ? 100 : kind < 0.97 ? 16_000 : kind < 0.995 ? 60_000 : 800_000));
        return { tag: Math.floor(next() * 3), data: bytes(4 + size, i), synchronous: next() < 0.03 };
      });
    };
    if (world.rank === 0) {
      const pending = new Set();
      for (const { tag, data, synchronous } of plan()) {
        const send = world.send(data, { dest: 1, tag, synchronous });
        if (send.state !== "pending") continue;
        pending.add(send.then(() => pending.delete(send)));
        if (pending.size > 100) await send;
      }
      await Promise.all(pending);
      await world.recv({ source: 1, tag: DONE });
      return;
    }
    const one = collect(world, { source: 0, byteCapacity: Number(capacity) });
    const messages = await one.until(count);
    const left = [0, 1, 2].map((tag) => plan().filter((each) => each.tag === tag));
    for (const message of messages) same(message.data, left[message.tag].shift().data, "in order, and whole");
    one.taker.stop();
    await cancelled(one);
    await world.send(null, { dest: 0, tag: DONE });
  },

  /** Receives and probes that are posted come first, whenever the taker began; then takers in the order they began. */
  async line(world) {
    if (world.rank === 0) {
      await world.recv({ source: 1, tag: DONE });
      for (let i = 0; i < 6; ++i) await world.send(i, { dest: 1, tag: 1 });
      await world.send("other", { dest: 1, tag: 2 });
      await world.recv({ source: 1, tag: DONE });
      return;
    }
    const first = collect(world, { tag: 1 });
    const second = collect(world);
    const receive = world.recv({ tag: 1 });
    const probe = world.mprobe({ source: 0 });
    await world.send(null, { dest: 0, tag: DONE });
    assert.equal((await receive).value, 0);
    const offer = await probe;
    await second.until(1);
    assert.deepEqual(
      second.messages.map((message) => message.value),
      ["other"],
    );
    await first.until(4);
    assert.deepEqual(
      first.messages.map((message) => message.value),
      [2, 3, 4, 5],
    );
    offer.giveBack(); // to the first that waits for it
    await first.until(5);
    assert.equal(first.messages[4].value, 1);
    first.taker.stop();
    second.taker.stop();
    await Promise.all([cancelled(first), cancelled(second)]);
    await world.send(null, { dest: 0, tag: DONE });
  },

  /** One that nobody reads holds back its own messages, at their sender in the end, and no others. */
  async paused(world) {
    const flood = 200_000;
    if (world.rank === 0) {
      let waits = 0;
      for (let i = 0; i < flood; ++i) {
        const sent = world.send(i, { dest: 1, tag: 1 });
        if (sent.state !== "pending") continue;
        if (++waits === 1) {
          await world.send("flood", { dest: 1, tag: 2 });
          await world.recv({ source: 1, tag: DONE });
        }
        await sent;
      }
      assert.ok(waits > 0, "back-pressure");
      await world.recv({ source: 1, tag: DONE });
      return;
    }
    const slow = collect(world, { tag: 1 });
    slow.taker.pause();
    const all = collect(world, { source: 0, tag: -1 });
    await all.until(1);
    assert.equal(all.messages[0].value, "flood");
    assert.equal(slow.messages.length, 0);
    slow.taker.resume();
    await world.send(null, { dest: 0, tag: DONE });
    await slow.until(flood);
    slow.messages.forEach((message, i) => void assert.equal(message.value, i));
    assert.equal(all.messages.length, 1, "nothing went to the later one");
    for (const each of [slow, all]) each.taker.stop();
    await world.send(null, { dest: 0, tag: DONE });
  },

  /** What was unexpected when it begins is taken; what it has not taken when it stops is there for receives, in order. */
  async stops(world) {
    const count = 5000;
    if (world.rank === 0) {
      for (let i = 0; i < count; ++i) world.send(i, { dest: 1, tag: 1 });
      await world.recv({ source: 1, tag: DONE });
      return;
    }
    await (await world.mprobe({ tag: 1 })).giveBack();
    const one = collect(world, { tag: 1, byteCapacity: 2048 });
    await one.until(10);
    one.taker.stop();
    await cancelled(one);
    let next = one.messages.length;
    assert.ok(next < count);
    one.messages.forEach((message, i) => void assert.equal(message.value, i));
    for (; next < count; ++next) assert.equal((await world.recv({ tag: 1 })).value, next);
    await world.send(null, { dest: 0, tag: DONE });
  },

  /** Messages to oneself. */
  async oneself(world) {
    const one = collect(world, { source: world.rank }); // the others may leave
    for (let i = 0; i < 1000; ++i) world.send(bytes(i * 10, i), { dest: world.rank });
    await one.until(1000);
    one.messages.forEach((message, i) => void same(message.data, bytes(i * 10, i), "in order"));
    one.taker.stop();
    await cancelled(one);
  },

  /** In a part of the world: eager ones and offers take turns, more of them than there is credit for, and it comes back. */
  async part(world) {
    const count = 10_000;
    const body = (i) => bytes(20, i);
    const part = await world.dup();
    for (let i = 0; i < 20; ++i) await part.barrier();
    if (part.rank === 0) {
      for (let i = 0; i < count; ++i) await part.send(body(i), { dest: 1, tag: 3, synchronous: i % 2 === 0 });
      await part.recv({ source: 1, tag: DONE });
      return;
    }
    const one = collect(part, { source: 0, tag: 3 });
    const messages = await one.until(count);
    messages.forEach((message, i) => void same(message.data, body(i), "in order"));
    one.taker.stop();
    await cancelled(one);
    await part.send(null, { dest: 0, tag: DONE });
  },

  /** All that a rank sent comes before its end is told, also when it died; the process may end then by itself. */
  async ends(world, how) {
    const count = 20_000;
    if (world.rank === 0) {
      for (let i = 0; i < count; ++i) {
        const sent = world.send(i, { dest: 1, tag: 1 });
        if (sent.state === "pending") await sent;
      }
      if (how === "dies") process.kill(process.pid, "SIGKILL");
      return;
    }
    const one = collect(world, { source: 0, tag: 1 });
    const reason = await one.ended;
    assert.equal(reason.code, how === "dies" ? "ERR_CARILLON_PEER_LOST" : "ERR_CARILLON_PEER_CLOSED");
    if (how !== "dies") assert.equal(one.messages.length, count);
    one.messages.forEach((message, i) => void assert.equal(message.value, i));
  },

  /** A body that comes alone goes with its sender while it is copied: what is behind it comes in order. */
  async gone(world) {
    const count = 4;
    if (world.rank === 0) {
      world.send(new Uint8Array(new SharedArrayBuffer(64 << 20)), { dest: 1, tag: 1 }).catch(() => {});
      for (let i = 0; i < count; ++i) await world.send(i, { dest: 1, tag: 1 });
      await world.send(null, { dest: 1, tag: 2 });
      await world.recv({ source: 1, tag: DONE });
      process.kill(process.pid, "SIGKILL");
    }
    await world.recv({ source: 0, tag: 2 });
    const one = collect(world, { source: 0, tag: 1 });
    await settled();
    await world.send(null, { dest: 0, tag: DONE });
    assert.equal((await one.ended).code, "ERR_CARILLON_PEER_LOST");
    // If the copy was faster it is there, too, and first.
    if (one.messages.length > count) assert.equal(one.messages.shift().byteLength, 64 << 20);
    assert.deepEqual(
      one.messages.map(({ value }) => value),
      Array.from({ length: count }, (_, i) => i),
    );
  },

  /** What a callback throws is an uncaught exception, and the next message comes all the same. */
  async throws(world) {
    if (world.rank === 0) {
      for (let i = 0; i < 3; ++i) await world.send(i, { dest: 1 });
      await world.recv({ source: 1, tag: DONE });
      return;
    }
    const caught = [];
    process.on("uncaughtException", (error) => caught.push(error.message));
    const values = [];
    await new Promise((resolve) => {
      const taker = world.take({
        source: 0,
        deliver(message) {
          values.push(message.value);
          if (values.length === 3) taker.stop();
          throw new Error(`thrown at ${message.value}`);
        },
        ended: resolve,
      });
    });
    assert.deepEqual(values, [0, 1, 2]);
    assert.deepEqual(caught, ["thrown at 0", "thrown at 1", "thrown at 2"]);
    await world.send(null, { dest: 0, tag: DONE });
  },
});
