// Scenarios of test/requests.test.ts: a Request is a Promise that can be cancelled and inspected.
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { inspect } from "node:util";
import { Request } from "carillon";
import { bytes, heard, play, random, rejects, say, settled, unhandled } from "./scenario.mjs";

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

  async combinators(world) {
    const send = (value, tag) => world.send(value, { ...me, tag });
    const [a, b, c] = await Promise.all([world.recv({ tag: 1 }), world.mprobe({ tag: 2 }), send(1, 1), send(2, 2)]);
    assert.equal(a.value, 1);
    assert.equal((await b.recv()).value, 2);
    assert.equal(c, undefined);
    const slow = world.recv({ tag: 3 });
    const fast = world.recv({ tag: 4 });
    await send("first", 4);
    assert.equal((await Promise.race([slow, fast])).value, "first");
    const refused = world.recv({ source: 5 });
    const any = Promise.any([refused, slow, world.recv({ tag: 5 })]);
    await send("any", 3);
    assert.equal((await any).value, "any");
    const settlements = await Promise.allSettled([refused, slow, send(3, 5)]);
    assert.deepEqual(
      settlements.map(({ status }) => status),
      ["rejected", "fulfilled", "fulfilled"],
    );
    const none = await Promise.any([refused, world.send(0, { dest: 9 })]).catch((error) => error);
    assert.ok(none instanceof AggregateError);
    await settled();
    assert.equal(world.stats().requests, 0);
  },

  /** Races of receives, probes and sends; what lost is cancelled, by itself or by a signal. */
  async losers(world) {
    const { signal } = new AbortController();
    const round = async (i) => {
      const loser =
        i % 3 === 0 ? world.recv({ tag: 2, signal }) : i % 3 === 1 ? world.mprobe({ tag: 2, signal }) : lost();
      const winner = world.recv({ tag: 1, signal });
      const sent = world.send(i, { ...me, tag: 1 });
      const first = await Promise.race([winner, loser]);
      assert.equal(first.value, i);
      await Promise.all([sent, winner]);
      assert.equal(loser.cancel(), true);
      await loser.catch(({ code }) => assert.equal(code, "ERR_CARILLON_CANCELLED"));
    };
    const lost = () => world.send("x", { ...me, tag: 3, synchronous: true, signal });
    const aborted = async () => {
      const controller = new AbortController();
      const race = Promise.race([world.recv({ tag: 2, signal: controller.signal }), world.recv({ tag: 2, signal })]);
      controller.abort("over");
      await race.catch((reason) => assert.equal(reason, "over"));
      const rest = world.recv({ tag: 2 });
      await world.send(1, { ...me, tag: 2 });
      await race.catch(() => {});
      assert.equal(rest.cancel(), true);
    };
    const heap = () => {
      globalThis.gc();
      return process.memoryUsage().heapUsed;
    };
    const rounds = async (from, to) => {
      for (let i = from; i < to; ++i) await round(i);
      await settled();
      assert.equal(getEventListeners(signal, "abort").length, 0);
      assert.equal(world.stats().requests, 0);
      assert.equal(world.stats().outstanding, 0);
    };
    await rounds(0, 10_000);
    for (let i = 0; i < 100; ++i) await aborted();
    const before = heap();
    await rounds(10_000, 50_000);
    const more = heap() - before;
    assert.ok(more < 500_000, `${more} bytes more after 40,000 rounds`);
    assert.equal(world.tryMprobe(), null);
  },

  async timeout(world) {
    const signal = AbortSignal.timeout(20);
    const all = [
      world.recv({ signal }),
      world.mprobe({ tag: 1, signal }),
      world.send("x", { ...me, synchronous: true, tag: 7, signal }),
    ];
    const [first, ...others] = await Promise.allSettled([Promise.race(all), ...all]);
    assert.equal(first.status, "fulfilled", "the receive takes what is sent");
    assert.deepEqual(
      others.map(({ status, reason }) => [status, reason?.name]),
      [
        ["fulfilled", undefined],
        ["rejected", "TimeoutError"],
        ["fulfilled", undefined],
      ],
    );
    const late = AbortSignal.timeout(5);
    const waits = [world.recv({ tag: 1, signal: late }), world.send("y", { ...me, synchronous: true, signal: late })];
    for (const { reason } of await Promise.allSettled(waits)) assert.equal(reason, late.reason);
    assert.equal(getEventListeners(late, "abort").length, 0);
    assert.equal(world.tryMprobe(), null, "what was aborted is gone");
    assert.equal(world.stats().requests, 0);
  },

  /** Rank 1 takes nothing until it is told: what is pending waits as an offer or in line. */
  async cancelSends(world) {
    const COUNT = 9000;
    if (world.rank === 1) {
      await heard();
      const taken = [];
      for (;;) {
        const { tag, value } = await world.recv();
        if (tag === 9) {
          const expected = [...value.keys()].filter((i) => value[i] === 0);
          for (const each of [0, 1]) {
            const isOf = (i) => i % 2 === each;
            assert.deepEqual(taken.filter(isOf), expected.filter(isOf));
          }
          return;
        }
        taken.push(value[0]);
      }
    }
    const sends = Array.from({ length: COUNT }, (_, i) => {
      const body = new Float64Array(i % 50 === 0 ? 3000 : 1 + (i % 7)).fill(i);
      return world.send(body, { dest: 1, tag: i % 2, synchronous: i % 11 === 0 });
    });
    assert.ok(sends.filter(({ state }) => state === "pending").length > 1000);
    // Those that leave the line make room, so that others have left when they are asked.
    const isCancelled = Uint8Array.from(sends, (send, i) => (i % 3 === 0 ? send.cancel() : false));
    assert.ok(isCancelled.filter(Boolean).length > 300);
    say({ cancelled: true });
    for (const [i, send] of sends.entries()) {
      if (isCancelled[i]) await rejects(send, "ERR_CARILLON_CANCELLED");
      else await send;
    }
    await world.send(isCancelled, { dest: 1, tag: 9 });
    assert.equal(world.stats().outstanding, 0);
  },

  async cancelRaces(world) {
    const COUNT = 4000;
    const next = random(world.rank + 3);
    const taken = [];
    if (world.rank === 1) {
      const stop = world.recv({ tag: 9 });
      for (;;) {
        const into = next() < 0.5 ? new Float64Array(new SharedArrayBuffer(400_000)) : undefined;
        const request = next() < 0.3 ? world.mprobe({ tag: 1 }) : world.recv({ tag: 1, into });
        if (next() < 0.2 && request.cancel()) continue;
        const ends = await Promise.race([stop.then(() => true), request.then(() => false)]);
        // The last message may have come with the end.
        if (ends && (request.cancel() || request.state === "rejected")) {
          const { value: isCancelled } = await stop;
          const expected = [...isCancelled.keys()].filter((i) => isCancelled[i] === 0);
          assert.deepEqual(taken, expected);
          return;
        }
        let message = await request;
        if (!("value" in message)) {
          message = await message.recv({ into }).catch(({ code }) => assert.equal(code, "ERR_CARILLON_CANCELLED"));
        }
        if (message) taken.push(message.value[0]);
      }
    }
    const isCancelled = new Uint8Array(COUNT);
    const held = [];
    let crossed = 0;
    const settle = async (i, send) => {
      if (next() < 0.4) await (next() < 0.5 ? settled() : undefined);
      if (next() < 0.5 && send.cancel()) {
        isCancelled[i] = 1;
        await rejects(send, "ERR_CARILLON_CANCELLED");
      }
      await send.catch(({ code }) => {
        assert.equal(code, "ERR_CARILLON_CANCELLED");
        if (!isCancelled[i]) ++crossed;
        isCancelled[i] = 1;
      });
    };
    for (let i = 0; i < COUNT; ++i) {
      const body = new Float64Array([1, 1000, 3000, 40_000][Math.floor(next() ** 2 * 4)]).fill(i);
      held.push(settle(i, world.send(body, { dest: 1, tag: 1, synchronous: next() < 0.3 })));
      if (held.length > 20) await held.shift();
    }
    await Promise.all(held);
    assert.ok(isCancelled.some(Boolean));
    assert.ok(crossed < COUNT / 100, `${crossed} crossed their claim`);
    await world.send(isCancelled, { dest: 1, tag: 9 });
    assert.equal(world.stats().outstanding, 0);
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
