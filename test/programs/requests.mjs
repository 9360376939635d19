// Scenarios of test/requests.test.ts: a Request is a Promise that can be cancelled and inspected.
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { inspect } from "node:util";
import { Request } from "carillon";
import { bytes, play, rejects, say, settled, unhandled } from "./scenario.mjs";

const me = { dest: 0 };

await play({
  async promise(world) {
    const request = world.recv({ tag: 1 });
    assert.ok(request instanceof Promise && request instanceof Request);
    assert.equal(request.state, "pending");
    assert.equal(Promise.resolve(request), request, "await does not wrap it");
    const derived = request.then((message) => message.value);
    assert.ok(!(derived instanceof Request));
    const race = Promise.race([request, new Promise(() => {})]);
    let after = 0;
    const last = request.finally(() => ++after);
    const send = world.send("x", { ...me, tag: 1 });
    assert.ok(send instanceof Request);
    assert.equal(await send, undefined);
    assert.equal(send.state, "fulfilled");
    assert.equal(await derived, "x");
    assert.equal(await race, await request);
    assert.equal(await last, await request);
    assert.equal(after, 1);
    assert.equal(request.state, "fulfilled");
    const [a, b] = await Promise.all([world.recv(), world.recv(), world.send(1, me), world.send(2, me)]);
    assert.deepEqual([a.value, b.value], [1, 2]);
    const refused = world.send("x", { dest: 99 });
    assert.equal(refused.state, "rejected");
    assert.equal(await refused.catch((error) => error.code), "ERR_CARILLON_INVALID_RANK");
    assert.equal(refused.cancel(), false);
  },

  async inspect(world) {
    const request = world.recv({ tag: 7 });
    assert.equal(inspect(request), "Request { recv source: any, tag: 7, pending }");
    request.cancel();
    assert.equal(inspect(request), "Request { recv source: any, tag: 7, rejected }");
    const send = world.send("abc", { ...me, tag: 3, synchronous: true });
    assert.equal(inspect(send), "Request { send dest: 0, tag: 3, pending }");
    assert.match(inspect(world.send("x", { ...me, tag: 4 })), /^Request { send.* fulfilled }$/);
    assert.equal(inspect(await world.recv()), "Message { source: 0, tag: 3, byteLength: 3 }");
    assert.equal(inspect(world), "World { rank: 0, size: 1 }");
    assert.doesNotThrow(() => inspect(Request.prototype));
  },

  async abort(world) {
    const aborted = AbortSignal.abort(new TypeError("before"));
    await assert.rejects(world.recv({ signal: aborted }), TypeError);
    await assert.rejects(world.send("x", { ...me, signal: aborted }), TypeError);
    const controller = new AbortController();
    const { signal } = controller;
    const request = world.recv({ tag: 1, signal });
    assert.equal(getEventListeners(signal, "abort").length, 1);
    const reason = new Error("enough");
    controller.abort(reason);
    await assert.rejects(request, (error) => error === reason);
    assert.equal(request.state, "rejected");
    assert.equal(getEventListeners(signal, "abort").length, 0);
    // Nothing was taken, nothing was sent.
    await world.send("y", { ...me, tag: 1 });
    assert.equal((await world.recv()).value, "y");
    await assert.rejects(world.recv({ signal: AbortSignal.timeout(1) }), { name: "TimeoutError" });
  },

  /** A signal that lives long collects no listeners. */
  async listeners(world) {
    const { signal } = new AbortController();
    const count = () => getEventListeners(signal, "abort").length;
    for (let i = 0; i < 100; ++i) {
      const request = world.recv({ signal });
      await world.send(i, { ...me, signal });
      await request;
    }
    assert.equal(count(), 0);
    const request = world.recv({ signal });
    assert.equal(count(), 1);
    request.cancel();
    assert.equal(count(), 0);
    const send = world.send("x", { ...me, synchronous: true, signal });
    assert.equal(count(), 1);
    await world.recv();
    await send;
    assert.equal(count(), 0);
    await rejects(world.recv({ tag: -7, signal }), "ERR_CARILLON_INVALID_TAG");
    assert.equal(count(), 0);
  },

  async handled(world) {
    const all = unhandled();
    assert.equal(world.recv().cancel(), true);
    const send = world.send(bytes(10), { ...me, synchronous: true });
    assert.equal(send.cancel(), true);
    await settled();
    assert.deepEqual(all, []);
    // Whoever asks still hears of it.
    await rejects(send, "ERR_CARILLON_CANCELLED");
    // Nobody asked for this one.
    void world.send("x", { dest: 5 });
    await settled();
    assert.equal(all.length, 1);
    void world.recv();
    void world.recv({ tag: 4 });
    await world.close();
    await settled();
    assert.equal(all.length, 1, "close counts as handled");
  },

  /** Rank 1 is killed; what waited for it is an unhandled rejection here. */
  async lostIsUnhandled(world) {
    if (world.rank === 1) {
      say({ ready: true });
      await world.recv({ tag: 2 });
    }
    const all = unhandled();
    const sent = world.send(bytes(1 << 20), { dest: 1, tag: 1, synchronous: true });
    sent.catch(() => {});
    void world.recv({ source: 1 });
    say({ ready: true });
    await rejects(sent, "ERR_CARILLON_PEER_LOST");
    await settled();
    assert.deepEqual(
      all.map((error) => [error.code, error.rank]),
      [["ERR_CARILLON_PEER_LOST", 1]],
    );
  },
});
