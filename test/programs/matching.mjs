// Scenarios of test/matching.test.ts: which receive takes which message.
import assert from "node:assert/strict";
import { ANY_SOURCE, ANY_TAG } from "carillon";
import { bytes, play, random, rejects, same, settled } from "./scenario.mjs";

/** What the law of one taker says, written down the simple way. */
class Model {
  posted = [];
  unexpected = [];

  matches = ({ source, tag }, message) =>
    (source === ANY_SOURCE || source === message.source) && (tag === ANY_TAG || tag === message.tag);

  send(message) {
    for (;;) {
      const i = this.posted.findIndex((receive) => this.matches(receive, message));
      if (i < 0) break;
      const [receive] = this.posted.splice(i, 1);
      receive.takes = message;
      if (message.bytes <= receive.room) return;
    }
    this.unexpected.push(message);
  }

  post(receive) {
    const i = this.unexpected.findIndex((message) => this.matches(receive, message));
    if (i < 0) return this.posted.push(receive);
    receive.takes = this.unexpected[i];
    if (receive.takes.bytes <= receive.room) this.unexpected.splice(i, 1);
  }

  cancel(receive) {
    const i = this.posted.indexOf(receive);
    if (i >= 0) this.posted.splice(i, 1);
    return i >= 0;
  }
}

await play({
  /** Receives, sends and cancels in random order, sizes and tags, held against the model. */
  async model(world, seed) {
    const next = random(Number(seed));
    const below = (n) => Math.floor(next() * n);
    const model = new Model();
    const receives = [];
    for (let i = 0; i < 6000; ++i) {
      const kind = next();
      if (kind < 0.48) {
        const message = { source: world.rank, tag: below(4), bytes: [0, 8, 100, 3000][below(4)], number: i };
        model.send(message);
        const body = bytes(message.bytes, i);
        if (message.bytes >= 8) new DataView(body.buffer).setFloat64(0, i);
        await world.send(body, { dest: world.rank, tag: message.tag });
      } else if (kind < 0.9) {
        const source = next() < 0.5 ? ANY_SOURCE : world.rank;
        const tag = next() < 0.4 ? ANY_TAG : below(4);
        const room = next() < 0.8 ? Number.POSITIVE_INFINITY : [0, 8, 100][below(3)];
        const receive = { source, tag, room };
        model.post(receive);
        receive.request = world.recv({ source, tag, ...(room < Infinity && { into: new Uint8Array(room) }) });
        receive.request.catch(() => {});
        receives.push(receive);
      } else if (receives.length > 0) {
        const receive = receives[below(receives.length)];
        const cancelled = receive.cancelled;
        receive.cancelled ||= model.cancel(receive);
        assert.equal(receive.request.cancel(), !cancelled && receive.cancelled);
      }
    }
    for (const receive of receives) {
      const { request, takes, room, cancelled } = receive;
      if (cancelled) await rejects(request, "ERR_CARILLON_CANCELLED");
      else if (!takes) assert.equal(request.state, "pending");
      else if (takes.bytes > room) {
        assert.equal((await rejects(request, "ERR_CARILLON_TRUNCATED")).byteLength, takes.bytes);
      } else {
        const message = await request;
        assert.deepEqual([message.tag, message.byteLength], [takes.tag, takes.bytes]);
        if (takes.bytes >= 8) assert.equal(new DataView(message.data.slice().buffer).getFloat64(0), takes.number);
      }
    }
  },

  /** Receives that wait get messages in the order they were posted, wildcards among them. */
  async postedFirst(world) {
    const sent = [1, 1, 2, 1, 3, 2, 1, 1, 3, 3];
    const asked = [
      [0, 1],
      [ANY_SOURCE, ANY_TAG],
      [ANY_SOURCE, 2],
      [0, ANY_TAG],
      [0, 3],
      [0, 2],
      [ANY_SOURCE, 1],
    ];
    const expected = [0, 1, 2, 3, 4, 5, 6];
    for (const size of [10, 1000, 300_000]) {
      if (world.rank === 0) {
        await world.recv({ source: 1, tag: 100 });
        const sends = sent.map((tag, i) => world.send([new Int32Array([i]), bytes(size)], { dest: 1, tag }));
        await Promise.all(sends);
      } else {
        const requests = asked.map(([source, tag]) => world.recv({ source, tag }));
        await world.send("", { dest: 0, tag: 100 });
        const taken = await Promise.all(requests);
        assert.deepEqual(
          taken.map((message) => message.value[0][0]),
          expected,
        );
        const rest = [await world.recv({ tag: 3 }), await world.recv({ tag: 1 }), await world.recv()];
        assert.deepEqual(
          rest.map((message) => message.value[0][0]),
          [8, 7, 9],
        );
      }
    }
  },

  /** A message that does not fit rejects that receive only, stays first in line, and can then be received. */
  async truncated(world) {
    for (const size of [10, 5000, 1 << 20]) {
      if (world.rank === 0) {
        await world.recv({ source: 1, tag: 9 });
        const sends = [world.send(bytes(size, 1), { dest: 1 }), world.send("next", { dest: 1 })];
        await world.send("", { dest: 1, tag: 1 });
        await Promise.all(sends);
        // And once more, with nobody waiting yet.
        const again = [world.send(bytes(size, 2), { dest: 1 }), world.send("next", { dest: 1 })];
        await world.send("", { dest: 1, tag: 1 });
        await Promise.all(again);
      } else {
        for (const Memory of [ArrayBuffer, SharedArrayBuffer]) {
          const small = new Uint8Array(new Memory(size - 1));
          const first = world.recv({ source: 0, tag: 0, into: small });
          const second = Memory === ArrayBuffer ? world.recv({ source: 0, tag: 0, into: new Memory(1) }) : undefined;
          const whole = Memory === ArrayBuffer ? world.recv({ source: 0, tag: 0 }) : undefined;
          if (Memory === ArrayBuffer) await world.send("", { dest: 0, tag: 9 });
          const error = await rejects(first, "ERR_CARILLON_TRUNCATED");
          assert.deepEqual([error.byteLength, error.rank, small.some(Boolean)], [size, 0, false]);
          if (second) await rejects(second, "ERR_CARILLON_TRUNCATED");
          const message = await (whole ?? world.recv({ source: 0, tag: 0, into: new Uint8Array(new Memory(size)) }));
          same(message.data, bytes(size, whole ? 1 : 2));
          assert.equal((await world.recv({ source: 0, tag: 0 })).value, "next");
          await world.recv({ source: 0, tag: 1 });
        }
      }
    }
  },

  /** What a cancelled receive does not take, the next one does. */
  async cancelled(world) {
    for (const size of [10, 5000, 1 << 20]) {
      if (world.rank === 0) {
        await world.recv({ source: 1, tag: 9 });
        await world.send(bytes(size), { dest: 1 });
      } else {
        const requests = [
          world.recv(),
          world.recv({ source: 0 }),
          world.recv({ tag: 0 }),
          world.recv({ source: 0, tag: 0 }),
        ];
        assert.deepEqual([requests[0].cancel(), requests[1].cancel(), requests[2].cancel()], [true, true, true]);
        assert.equal(requests[0].cancel(), false, "cancelled already");
        await world.send("", { dest: 0, tag: 9 });
        same((await requests[3]).data, bytes(size));
        assert.equal(requests[3].cancel(), false, "received already");
        for (const request of requests.slice(0, 3)) await rejects(request, "ERR_CARILLON_CANCELLED");
      }
    }
  },

  /** Receives cancelled while messages arrive: whatever wins, no message is lost or seen twice. */
  async cancelledInFlight(world, seed) {
    const count = 2000;
    const next = random(Number(seed));
    const size = (i) => (i % 50 === 7 ? 100_000 : i % 3 === 0 ? 2000 : 8);
    const body = (i) => {
      const data = new Float64Array(size(i) / 8).fill(i);
      return data;
    };
    if (world.rank === 0) {
      const sends = [];
      for (let i = 0; i < count; ++i) {
        sends.push(world.send(body(i), { dest: 1 }));
        if (i % 20 === 0) await settled();
      }
      await Promise.all(sends);
      await world.recv({ source: 1 });
    } else {
      let got = 0;
      const take = ({ value }) => {
        assert.deepEqual([value.length * 8, value[0], value.at(-1)], [size(got), got, got]);
        ++got;
      };
      while (got < count) {
        const requests = Array.from({ length: 5 }, () => world.recv({ source: 0 }));
        if (next() < 0.5) await settled();
        const victims = requests.map((request) => next() < 0.5 && request.cancel());
        for (const [i, request] of requests.entries()) {
          if (victims[i]) await rejects(request, "ERR_CARILLON_CANCELLED");
          else if (got < count) take(await request);
          else {
            request.cancel();
            await rejects(request, "ERR_CARILLON_CANCELLED");
          }
        }
      }
      await world.send("all there", { dest: 0 });
    }
  },

  /** A send that nobody has matched is taken back: its receiver never sees it, what follows arrives. */
  async cancelledSend(world) {
    for (const [size, synchronous] of [
      [1 << 20, false],
      [10, true],
      [0, true],
      [5 << 20, true],
    ]) {
      if (world.rank === 0) {
        const first = world.send(bytes(size), { dest: 1, synchronous });
        await world.send("", { dest: 1, tag: 1 });
        await world.recv({ source: 1, tag: 1 });
        assert.equal(first.cancel(), true);
        assert.equal(first.cancel(), false);
        await rejects(first, "ERR_CARILLON_CANCELLED");
        const controller = new AbortController();
        const second = world.send(bytes(size), { dest: 1, synchronous, signal: controller.signal });
        controller.abort(new RangeError("enough"));
        await assert.rejects(second, RangeError);
        await world.send("", { dest: 1, tag: 1 });
        await world.send("this one", { dest: 1 });
        const last = world.send(bytes(size, 5), { dest: 1, synchronous });
        await last;
        assert.equal(last.cancel(), false);
      } else {
        await world.recv({ source: 0, tag: 1 });
        await world.send("", { dest: 0, tag: 1 });
        await world.recv({ source: 0, tag: 1 });
        assert.equal((await world.recv({ source: 0 })).value, "this one");
        same((await world.recv({ source: 0 })).data, bytes(size, 5));
      }
    }
  },

  /** Sends taken back while their receiver takes them: every request tells the truth. */
  async cancelledSendInFlight(world, seed) {
    const count = 300;
    const next = random(Number(seed));
    if (world.rank === 0) {
      const delivered = [];
      for (let i = 0; i < count; ++i) {
        const send = world.send(new Float64Array(20_000 + ((i * 977) % 60_000)).fill(i), { dest: 1 });
        for (let spins = Math.floor(next() * 30_000); spins > 0; --spins);
        if (next() < 0.3) await settled();
        send.cancel();
        try {
          await send;
          delivered.push(i);
        } catch (error) {
          assert.equal(error.code, "ERR_CARILLON_CANCELLED", error.stack);
        }
      }
      await world.send(delivered, { dest: 1, tag: 1 });
      await world.recv({ source: 1 });
    } else {
      const got = [];
      const end = world.recv({ source: 0, tag: 1 });
      let waiting = world.recv({ source: 0, tag: 0 });
      for (;;) {
        const message = await Promise.race([waiting, end]); // in this order: both may be here already
        if (message.tag === 1) break;
        const { value } = message;
        assert.ok(
          value.every((each) => each === value[0]),
          "torn",
        );
        got.push(value[0]);
        waiting = world.recv({ source: 0, tag: 0 });
      }
      assert.equal(waiting.cancel(), true);
      assert.deepEqual((await end).value, got);
      await world.send("all there", { dest: 0 });
    }
  },
});
