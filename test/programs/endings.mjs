// Scenarios of test/endings.test.ts: how ranks leave, and what the others hear of it. Each joins by itself: some never
// close, which is the point.
import assert from "node:assert/strict";
import { inspect } from "node:util";
import { World } from "carillon";
import { bytes, heard, rejects, same, say } from "./scenario.mjs";

const [name, ...words] = process.argv.slice(2);
const world = await World.join();
const MIB = 1 << 20;
const COUNT = 200;
const size = (i) => [0, 8, 100, 5000, 15_000][i % 5];

const scenarios = {
  /** close waits until a large send has been taken. */
  async flush() {
    if (world.rank === 0) {
      const send = world.send(bytes(MIB), { dest: 1 });
      const synchronous = world.send("small", { dest: 1, tag: 2, synchronous: true });
      void world.send("closing", { dest: 1, tag: 1 });
      const closing = world.close();
      assert.equal(world.close(), closing);
      assert.deepEqual([send.state, synchronous.state], ["pending", "pending"]);
      await closing;
      assert.deepEqual([send.state, synchronous.state], ["fulfilled", "fulfilled"]);
    } else {
      await world.recv({ tag: 1 });
      same((await world.recv({ tag: 0 })).data, bytes(MIB));
      assert.equal((await world.recv({ tag: 2 })).value, "small");
      await rejects(world.recv({ source: 0 }), "ERR_CARILLON_PEER_CLOSED");
      await world.close();
    }
  },

  async closeNow() {
    if (world.rank === 0) {
      const receives = [world.recv(), world.recv({ source: 1, tag: 3 })];
      const sends = [world.send(bytes(MIB), { dest: 1 }), world.send("s", { dest: 1, synchronous: true })];
      await world.close({ timeout: 0 });
      for (const request of [...receives, ...sends]) {
        assert.equal(request.state, "rejected");
        await rejects(request, "ERR_CARILLON_CLOSED");
        assert.equal(request.cancel(), false);
      }
      for (const request of [world.recv(), world.send("x", { dest: 1 }), world.send("x", { dest: 0 })]) {
        await rejects(request, "ERR_CARILLON_CLOSED");
      }
      assert.equal(inspect(world), "World { rank: 0, size: 2, closed }");
      await world.close();
    } else {
      await rejects(world.recv({ source: 0, tag: 1 }), "ERR_CARILLON_PEER_CLOSED");
      // The body went with its sender.
      const error = await rejects(world.recv({ source: 0, tag: 0 }), "ERR_CARILLON_PEER_CLOSED");
      assert.deepEqual([error.rank, error.tag], [0, 0]);
      await world.close();
    }
  },

  /** Messages that came and were not received do not hold anybody. */
  async unreceived() {
    const peer = 1 - world.rank;
    for (let i = 0; i < 1000; ++i) await world.send(bytes(100, i), { dest: peer });
    const large = world.send(bytes(MIB), { dest: peer });
    large.catch(() => {});
    await world.send("all sent", { dest: peer, tag: 1 });
    await world.recv({ source: peer, tag: 1 });
    await world.close({ timeout: 0 });
    assert.equal(large.state, "rejected");
  },

  /** Bodies of 600 completed receives that this thread never saw, closed upon: nothing crashes, all are seen. */
  async unseen() {
    if (world.rank === 0) {
      const requests = Array.from({ length: 600 }, () => world.recv({ source: 1, tag: 0 }));
      const last = world.recv({ source: 1, tag: 1 });
      await world.send("go", { dest: 1 });
      // This thread computes until all of it must be here: what rank 1 sent is not seen yet.
      while (world.stats().received < 601);
      const closing = world.close({ timeout: 0 });
      for (const [i, request] of requests.entries()) same((await request).data, bytes(500, i));
      assert.equal((await last).value, "last");
      await closing;
    } else {
      await world.recv({ source: 0 });
      for (let i = 0; i < 600; ++i) await world.send(bytes(500, i), { dest: 0 });
      await world.send("last", { dest: 0, tag: 1 });
      await world.close();
    }
  },

  /** Rank 0 sends and ends somehow, without close; rank 1 hears of it afterwards. */
  async ends(how) {
    if (world.rank === 0) {
      const sends = [];
      for (let i = 0; i < COUNT; ++i) sends.push(world.send(bytes(size(i), i), { dest: 1 }));
      void world.send(bytes(MIB), { dest: 1, tag: 1 });
      await Promise.all(sends);
      say({ sent: true });
      await heard();
      if (how === "exit 0") process.exit(0);
      if (how === "exit 1") process.exit(1);
      if (how === "throw") throw new Error("uncaught on purpose");
      if (how === "reject") void Promise.reject(new Error("unhandled on purpose"));
      await world.recv({ tag: 9 });
    }
    const expected = how === "exit 0" ? "ERR_CARILLON_PEER_CLOSED" : "ERR_CARILLON_PEER_LOST";
    say({ ready: true });
    // Receives that wait for rank 0 reject; those that another rank may complete do not.
    const waiting = world.recv({ source: 0, tag: 7 });
    const large = world.send(bytes(MIB), { dest: 0, tag: 8 });
    const anybody = world.recv({ tag: 6 });
    for (const request of [waiting, large]) request.catch(() => {});
    if (world.rank === 1) {
      await heard();
      for (const request of [waiting, large]) {
        const error = await rejects(request, expected);
        assert.equal(error.rank, 0);
      }
      for (let i = 0; i < COUNT; ++i) same((await world.recv({ source: 0, tag: 0 })).data, bytes(size(i), i), `${i}`);
      await rejects(world.recv({ source: 0, tag: 0 }), expected);
      await rejects(world.recv({ source: 0, tag: 1 }), expected);
      const refused = await rejects(world.send("x", { dest: 0 }), expected);
      assert.equal(refused.rank, 0);
      await rejects(world.send(bytes(MIB), { dest: 0 }), expected);
      assert.equal(anybody.state, "pending");
      await world.send("to 2", { dest: 2, tag: 6 });
      assert.equal((await anybody).value, "to 1");
      await world.send("bye", { dest: 2 });
    } else {
      for (const request of [waiting, large]) await rejects(request, expected);
      assert.equal((await anybody).value, "to 2");
      await world.send("to 1", { dest: 1, tag: 6 });
      await world.recv({ source: 1 });
      // Nobody is left who could complete this one.
      const last = await rejects(world.recv({ tag: 5 }), expected);
      assert.equal(last.tag, 5);
    }
    await world.close();
  },

  /** One after the other leaves; a receive from anybody waits until the last one has. */
  async oneByOne() {
    if (world.rank > 0) {
      await world.recv({ source: 0 });
      return world.close();
    }
    const anybody = world.recv();
    for (let dest = 1; dest < world.size; ++dest) {
      assert.equal(anybody.state, "pending");
      await world.send("leave", { dest });
      await rejects(world.recv({ source: dest }), "ERR_CARILLON_PEER_CLOSED");
    }
    const error = await rejects(anybody, "ERR_CARILLON_PEER_CLOSED");
    assert.equal(error.tag, undefined);
    // To oneself one can still talk.
    await world.send("me", { dest: 0 });
    assert.equal((await world.recv({ source: 0 })).value, "me");
    await world.close();
  },
};

await scenarios[name](...words);
