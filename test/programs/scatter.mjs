// Scenarios of test/scatter.test.ts: `into` is a list of views.
import assert from "node:assert/strict";
import { bytes, play, random, rejects, same, settled } from "./scenario.mjs";

const me = { dest: 0 };
const ordinary = (size) => new Uint8Array(size);
const shared = (size) => new Uint8Array(new SharedArrayBuffer(size));
const asBytes = (view) =>
  ArrayBuffer.isView(view) ? new Uint8Array(view.buffer, view.byteOffset, view.byteLength) : new Uint8Array(view);
const joined = (views) => Buffer.concat(views.map(asBytes));

await play({
  async headerAndBody(world) {
    const peer = world.size - 1 - world.rank;
    for (const size of [0, 1, 20, 500, 5001, 15_900, 16_001, 70_003, 2_000_001]) {
      for (const [head, body] of [
        [ordinary, ordinary],
        [shared, shared],
        [ordinary, shared],
      ]) {
        for (const probed of [false, true]) {
          const sent = [Float64Array.of(1, size, -0.5), bytes(size, size)];
          const send = world.send(sent, { dest: peer });
          const into = [new Float64Array(head(24).buffer), body(size)];
          const request = probed ? world.mprobe().then((offer) => offer.recv({ into })) : world.recv({ into });
          const message = await request;
          assert.deepEqual([...into[0]], [1, size, -0.5]);
          same(into[1], sent[1], `body of ${size}`);
          assert.equal(message.byteLength, 24 + size);
          await send;
        }
      }
    }
    assert.equal(world.stats().requests, 0);
  },

  /** The lists are one piece each: their boundaries need not be the same. */
  async random(world) {
    const next = random(7);
    const below = (n) => Math.floor(next() * n);
    const cut = (total, most) => {
      const sizes = [];
      for (let left = total; left > 0 || sizes.length === 0; ) {
        const size = next() < 0.2 ? 0 : Math.min(left, 1 + below(most));
        sizes.push(size);
        left -= size;
      }
      return sizes;
    };
    for (let i = 0; i < 300; ++i) {
      const total = [0, 30, 900, 9000, 30_000, 400_000][below(6)];
      const most = Math.max(1, [total, total >> 2, total >> 6][below(3)]);
      const whole = bytes(total, i);
      let at = 0;
      const sizes = cut(total, most);
      const sent = sizes.map((size) => {
        at += size;
        return whole.subarray(at - size, at);
      });
      const send = world.send(sent, { dest: world.size - 1 - world.rank, synchronous: next() < 0.1 });
      const make = [ordinary, shared, (size) => (size % 2 ? ordinary : shared)(size)][below(3)];
      const slack = below(2) * below(50);
      const into = cut(total + slack, most).map((size) => (size % 3 === 1 ? make(size).buffer : make(size)));
      const message = await world.recv({ into });
      same(joined(into).subarray(0, total), whole, `round ${i}`);
      assert.ok(
        joined(into)
          .subarray(total)
          .every((byte) => byte === 0),
      );
      same(joined(message.views), whole);
      assert.equal(message.views.length, into.length);
      await send;
    }
  },

  async values(world) {
    const values = [
      "a string of characters",
      { an: "object" },
      { with: new Float64Array([1, 2]) },
      42,
      null,
      bytes(5000),
      new Float64Array([1, 2, 3]),
      new Uint16Array(bytes(50_000).buffer),
    ];
    if (world.rank === 1) {
      for (const value of values) for (let i = 0; i < 2; ++i) await world.send(value, { dest: 0 });
      return;
    }
    for (const value of values) {
      const { data } = await world.recv();
      const into = [ordinary(5), ordinary(1), ordinary(60_000)];
      const message = await world.recv({ into });
      same(joined(into).subarray(0, data.byteLength), data);
      same(message.data, data);
      assert.deepEqual(message.value, value);
    }
  },

  async straight(world) {
    const size = 24 << 20;
    if (world.rank === 1) {
      const body = new Uint8Array(new SharedArrayBuffer(size)).fill(7);
      body[size - 1] = 9;
      for (let i = 0; i < 4; ++i) await world.send([Uint32Array.of(i), body], { dest: 0 });
      return;
    }
    const into = [new Uint32Array(new SharedArrayBuffer(4)), shared(size).fill(1)];
    for (let i = 0; i < 2; ++i) await world.recv({ into });
    const before = process.memoryUsage().rss;
    const request = world.recv({ into });
    let most = before;
    while (request.state === "pending") {
      most = Math.max(most, process.memoryUsage().rss);
      await settled();
    }
    await request;
    assert.ok(most - before < size / 2, `${most - before} bytes more while ${size} came`);
    assert.deepEqual([into[0][0], into[1][0], into[1][size - 1]], [2, 7, 9]);
    // While this thread computes.
    const last = world.recv({ into });
    while (Atomics.load(into[0], 0) !== 3);
    await last;
  },

  async message(world) {
    const sent = [bytes(10, 1), bytes(21, 2)];
    const into = [ordinary(10), ordinary(30), ordinary(5)];
    await world.send(sent, { ...me, tag: 4 });
    const message = await world.recv({ into });
    assert.deepEqual([message.source, message.tag, message.byteLength], [0, 4, 31]);
    assert.equal(message.views[0], into[0], "what was filled is the caller's own");
    assert.deepEqual(
      message.views.map(({ byteLength }) => byteLength),
      [10, 21, 0],
    );
    assert.equal(message.views[1].buffer, into[1].buffer);
    same(message.data, joined(sent));
    assert.equal(message.data, message.data);
    assert.equal(message.value, message.views);
    // Typed arrays and DataViews too, where their bytes are.
    await world.send([Float32Array.of(1.5), Int16Array.of(-3)], me);
    const typed = [new DataView(new ArrayBuffer(4)), new Int16Array(8).subarray(2, 3)];
    await world.recv({ into: typed });
    assert.equal(typed[0].getFloat32(0, true), 1.5);
    assert.equal(typed[1][0], -3);
    await world.send([ordinary(0)], me);
    assert.equal((await world.recv({ into: [] })).byteLength, 0);
    await world.send("x", me);
    assert.equal((await world.recv()).views, undefined);
  },

  async truncated(world) {
    for (const [head, body] of [
      [5, 9],
      [8, 300],
      [3, 40_001],
    ]) {
      const sent = [bytes(head, 1), bytes(body, 2)];
      const total = head + body;
      for (const posted of [false, true]) {
        const tight = () => [shared(1), shared(total - 2)];
        const exact = [ordinary(total - 1), ordinary(1)];
        const early = posted ? world.recv({ into: tight() }) : undefined;
        await world.send(sent, me);
        await world.send("behind", me);
        const error = await rejects(early ?? world.recv({ into: tight() }), "ERR_CARILLON_TRUNCATED");
        assert.equal(error.byteLength, total);
        // As one view it needs room for what the views need on their way, too.
        assert.ok((await rejects(world.recv({ into: ordinary(total) }), "ERR_CARILLON_TRUNCATED")).byteLength > total);
        await world.recv({ into: exact });
        same(joined(exact), joined(sent));
        assert.equal((await world.recv()).value, "behind");
      }
    }
  },

  async detached(world) {
    for (const size of [60, 3000, 100_000]) {
      const into = [ordinary(8), ordinary(size), ordinary(8)];
      const request = world.recv({ into });
      structuredClone(into[1].buffer, { transfer: [into[1].buffer] });
      await world.send([bytes(8), bytes(size)], me);
      const error = await rejects(request, "ERR_CARILLON_BUFFER_DETACHED");
      assert.match(error.message, /: into\[1\] was transferred/);
      await rejects(world.recv({ into }), "ERR_CARILLON_BUFFER_DETACHED");
    }
    assert.equal(world.stats().requests, 0);
  },

  async refuses(world) {
    const { message } = await rejects(world.recv({ into: [ordinary(1), "x"] }), "ERR_CARILLON_INVALID_ARGUMENT");
    assert.match(message, /: into\[1\] must be/);
    const resizable = new ArrayBuffer(4, { maxByteLength: 8 });
    await rejects(world.recv({ into: [resizable] }), "ERR_CARILLON_INVALID_BUFFER");
    assert.equal(world.stats().requests, 0);
  },
});
