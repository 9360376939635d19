// Scenarios of test/keep-alive.test.ts: when a process ends by itself.
import assert from "node:assert/strict";
import { World } from "carillon";
import { bytes, heard, say } from "./scenario.mjs";

const [name] = process.argv.slice(2);
const world = await World.join();
const peer = 1 - world.rank;
process.on("exit", (code) => say({ exit: code }));

const scenarios = {
  /** Nothing outstanding, nothing closed. */
  nothing() {},

  async usedAndDone() {
    await world.send("x", { dest: world.rank });
    await world.recv();
  },

  /** Rank 0 does nothing but wait; rank 1 lets it go when the test says so. */
  async pending() {
    if (world.rank === 0) {
      // No top-level await: only the request holds the process.
      void world.recv({ source: 1 }).then((message) => say({ value: message.value }));
      say({ waiting: true });
    } else {
      await heard();
      await world.send("go", { dest: 0 });
    }
  },

  /** A large send that nobody takes yet. */
  async pendingSend() {
    if (world.rank === 0) {
      void world.send(bytes(1 << 20), { dest: 1 }).then(() => say({ taken: true }));
      say({ waiting: true });
    } else {
      await heard();
      await world.recv();
    }
  },

  /** Rank 1 stays until the test has seen rank 0 end. */
  async unrefRequest() {
    if (world.rank === 1) return void (await heard());
    void world.recv().unref();
    void world.recv({ tag: 1 }).ref().unref();
  },

  async unrefWorld() {
    if (world.rank === 1) return void (await heard());
    world.unref();
    void world.recv();
    assert.equal(world.ref(), world);
    assert.equal(world.unref(), world);
  },

  /** Referenced again: holds. */
  async refAgain() {
    if (world.rank === 0) {
      const request = world.recv({ source: 1 }).unref().ref();
      world.unref().ref();
      void request.then(() => say({ got: true }));
      say({ waiting: true });
    } else {
      await heard();
      await world.send("go", { dest: 0 });
    }
  },

  /** More requests than a completion queue has records, all settled: nothing holds the process. */
  async many() {
    const requests = Array.from({ length: 2000 }, () => world.recv());
    for (let i = 0; i < 2000; ++i) void world.send(i, { dest: world.rank });
    const all = await Promise.all(requests);
    assert.deepEqual(
      all.map((message) => message.value),
      Array.from({ length: 2000 }, (_, i) => i),
    );
  },

  /** Cancelled requests hold nothing. */
  cancelled() {
    const requests = Array.from({ length: 2000 }, () => world.recv());
    for (const request of requests) assert.equal(request.cancel(), true);
  },

  /** Closed with more outstanding than a completion queue has records. */
  async closed() {
    // Whoever closes second hears of the other first, if it is told so in between: the other stays until this one has gone.
    if (world.rank === 1) return void (await assert.rejects(world.recv(), { code: "ERR_CARILLON_PEER_CLOSED" }));
    const requests = Array.from({ length: 2000 }, (_, i) => (i % 3 ? world.recv() : world.recv({ source: peer })));
    await world.close();
    for (const request of requests) assert.equal(request.state, "rejected");
    for (const request of requests) await assert.rejects(request, { code: "ERR_CARILLON_CLOSED" });
  },

  /** Unreferenced requests still complete while something else holds the process. */
  async unrefCompletes() {
    const request = world.recv({ source: peer }).unref();
    await world.send("x", { dest: peer });
    setTimeout(() => assert.fail("it did not complete"), 30_000).unref();
    const hold = setInterval(() => {}, 1000);
    assert.equal((await request).value, "x");
    clearInterval(hold);
  },
};

await scenarios[name]();
