// Scenarios of test/probe.test.ts: matched probes.
import assert from "node:assert/strict";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { inspect } from "node:util";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { ANY_SOURCE, ANY_TAG, Offer, World } from "carillon";
import { bytes, play, random, rejects, same, say, settled } from "./scenario.mjs";

const SIZES = [0, 1, 64, 65, 3000, 16_000, 16_001, 70_000, 1_000_000];
const me = { dest: 0 };

/** Every way to receive an offer's bytes. */
const INTO = [
  () => undefined,
  (size) => new Uint8Array(size),
  (size) => new Uint8Array(new SharedArrayBuffer(size + 10)),
  (size) => [new Uint8Array(size >> 1), new Uint8Array(size - (size >> 1))],
  (size) => [new SharedArrayBuffer(size >> 1), new Uint8Array(new SharedArrayBuffer(size + 1))],
];

async function receiveSizes(world, source) {
  for (const [i, size] of SIZES.entries()) {
    for (const [k, into] of INTO.entries()) {
      const offer = await world.mprobe({ source });
      assert.ok(offer instanceof Offer);
      assert.deepEqual([offer.source, offer.tag, offer.byteLength], [source, i * 10 + k, size]);
      const message = await offer.recv({ into: into(size) });
      assert.deepEqual([message.source, message.tag, message.byteLength], [source, i * 10 + k, size]);
      same(message.data, bytes(size, i), `size ${size}, into ${k}`);
    }
  }
}

async function sendSizes(world, dest) {
  const all = [];
  for (const [i, size] of SIZES.entries()) {
    for (const k of INTO.keys()) all.push(world.send(bytes(size, i), { dest, tag: i * 10 + k }));
  }
  await Promise.all(all);
}

const scenarios = {
  async sizes(world) {
    const peer = 1 - world.rank;
    for (let i = 0; i < 2; ++i) await Promise.all([sendSizes(world, peer), receiveSizes(world, peer)]);
    assert.equal(world.stats().requests, 0);
  },

  async oneself(world) {
    await Promise.all([sendSizes(world, 0), receiveSizes(world, 0)]);
    assert.equal(world.stats().requests, 0);
  },

  async once(world) {
    await world.send("one", { ...me, tag: 3 });
    const offer = await world.mprobe();
    assert.equal(inspect(offer), "Offer { source: 0, tag: 3, byteLength: 3, held }");
    const received = offer.recv();
    assert.equal(inspect(received), "Request { recv source: 0, tag: 3, pending }".replace("pending", received.state));
    assert.equal((await received).value, "one");
    assert.equal(inspect(offer), "Offer { source: 0, tag: 3, byteLength: 3, received }");
    assert.doesNotThrow(() => inspect(Offer.prototype));
    const again = await rejects(offer.recv(), "ERR_CARILLON_OFFER_TAKEN");
    assert.deepEqual([again.rank, again.tag], [0, 3]);
    assert.equal(offer.giveBack(), false);
    await world.send("two", { ...me, tag: 3 });
    const other = world.tryMprobe({ tag: 3 });
    assert.equal(other.giveBack(), true);
    assert.equal(other.giveBack(), false);
    assert.equal(inspect(other), "Offer { source: 0, tag: 3, byteLength: 3, given back }");
    await rejects(other.recv(), "ERR_CARILLON_OFFER_TAKEN");
    world.tryMprobe()[Symbol.dispose]();
    const message = await world.recv();
    assert.equal(message.value, "two");
    const reply = world.recv({ tag: 3 });
    await world.send("three", me);
    await (await (await world.mprobe({ tag: 0 })).recv()).reply("four");
    await settled();
    await world.send("five", { ...me, tag: 3 });
    assert.equal((await reply).value, "five");
    assert.equal((await world.recv({ tag: 0 })).value, "four");
    assert.equal(world.stats().requests, 0);
  },

  async tooSmall(world) {
    for (const size of [100, 50_000]) {
      await world.send(bytes(size, 1), me);
      const offer = await world.mprobe();
      const error = await rejects(offer.recv({ into: new Uint8Array(size - 1) }), "ERR_CARILLON_TRUNCATED");
      assert.deepEqual([error.byteLength, error.rank], [size, 0]);
      await rejects(offer.recv({ into: [new Uint8Array(9), new Uint8Array(size - 10)] }), "ERR_CARILLON_TRUNCATED");
      await rejects(offer.recv({ into: "x" }), "ERR_CARILLON_INVALID_ARGUMENT");
      await rejects(offer.recv({ signal: {} }), "ERR_CARILLON_INVALID_ARGUMENT");
      await assert.rejects(offer.recv({ signal: AbortSignal.abort(new RangeError("no")) }), RangeError);
      same((await offer.recv({ into: new Uint8Array(size) })).data, bytes(size, 1));
    }
  },

  /** Receives and probes that wait take in the order posted; what is given back goes to the first that waits. */
  async line(world) {
    const first = world.mprobe();
    const second = world.recv();
    const third = world.mprobe({ tag: 5 });
    const fourth = world.recv({ tag: 5 });
    for (let i = 1; i <= 4; ++i) await world.send(i, { ...me, tag: 5 });
    assert.equal((await second).value, 2);
    assert.equal((await fourth).value, 4);
    const [one, three] = [await first, await third];
    const waiting = world.recv({ tag: 5 });
    const behind = world.mprobe();
    three.giveBack();
    assert.equal((await waiting).value, 3);
    one.giveBack();
    assert.equal((await (await behind).recv()).value, 1);
  },

  async now(world) {
    if (world.rank === 1) {
      await world.recv({ tag: 9 });
      await world.send("small", { dest: 0, tag: 1 });
      await world.send(bytes(50_000), { dest: 0, tag: 2 });
      return;
    }
    assert.equal(world.tryMprobe(), null);
    await world.send("go", { dest: 1, tag: 9 });
    // Without a turn of the event loop: it makes progress by itself.
    let small = null;
    while (!small) small = world.tryMprobe({ source: 1, tag: 1 });
    assert.equal(small.tag, 1);
    let large = null;
    while (!large) large = world.tryMprobe();
    assert.deepEqual([large.source, large.tag, large.byteLength], [1, 2, 50_000]);
    assert.equal(world.tryMprobe({ tag: 1 }), null);
    small.giveBack();
    assert.equal(
      await world
        .tryMprobe({ tag: 1 })
        .recv()
        .then((message) => message.value),
      "small",
    );
    same((await large.recv()).data, bytes(50_000));
    assert.equal(world.stats().requests, 0);
  },

  async cancel(world) {
    const request = world.mprobe({ tag: 7 });
    assert.equal(inspect(request), "Request { mprobe source: any, tag: 7, pending }");
    assert.equal(request.cancel(), true);
    assert.match((await rejects(request, "ERR_CARILLON_CANCELLED")).message, /^mprobe from any rank with tag 7/);
    const controller = new AbortController();
    const aborted = world.mprobe({ signal: controller.signal });
    controller.abort(new RangeError("enough"));
    await assert.rejects(aborted, RangeError);
    await world.send("x", me);
    const matched = world.mprobe();
    assert.equal(matched.cancel(), false);
    const { value } = await (await matched).recv();
    assert.equal(value, "x");
    assert.equal(world.stats().requests, 0);
  },

  async refuses(world) {
    await rejects(world.mprobe({ source: 1 }), "ERR_CARILLON_INVALID_RANK");
    await rejects(world.mprobe({ tag: -2 }), "ERR_CARILLON_INVALID_TAG");
    await rejects(world.mprobe({ signal: 1 }), "ERR_CARILLON_INVALID_ARGUMENT");
    assert.throws(() => world.tryMprobe({ source: "0" }), { code: "ERR_CARILLON_INVALID_RANK" });
    assert.throws(() => world.tryMprobe({ tag: 1.5 }), { code: "ERR_CARILLON_INVALID_TAG" });
  },

  async givenBack(world) {
    for (let i = 0; i < 6; ++i) await world.send(i, { ...me, tag: i % 2 });
    const offers = Array.from({ length: 6 }, () => world.tryMprobe());
    assert.deepEqual(
      offers.map(({ tag }) => tag),
      [0, 1, 0, 1, 0, 1],
    );
    await world.send(6, { ...me, tag: 0 });
    for (const i of [3, 0, 5, 4, 2, 1]) offers[i].giveBack();
    for (const tag of [1, 0, ANY_TAG]) {
      const value = tag === 1 ? 1 : tag === 0 ? 0 : 2;
      assert.equal((await world.recv({ tag })).value, value);
    }
    for (const value of [3, 4, 5, 6]) assert.equal((await world.recv({ source: 0 })).value, value);
    assert.equal(world.tryMprobe(), null);
  },

  /** Sends, receives, probes, cancels, offers received and given back, in random order, held against a model. */
  async model(world, seed) {
    const next = random(Number(seed));
    const below = (n) => Math.floor(next() * n);
    const posted = [];
    const waiting = [];
    const takers = [];
    const matches = (asked, message) => asked.tag === ANY_TAG || asked.tag === message.tag;
    const deliver = (message) => {
      const i = posted.findIndex((taker) => matches(taker, message));
      if (i >= 0) posted.splice(i, 1)[0].takes = message;
      else waiting.splice(waiting.findIndex(({ number }) => number > message.number) >>> 0, 0, message);
    };
    for (let i = 0; i < 5000; ++i) {
      const kind = next();
      if (kind < 0.4) {
        const message = { tag: below(3), number: i };
        deliver(message);
        const body = bytes([8, 100, 3000, 40_000][below(4)], i);
        new DataView(body.buffer).setFloat64(0, i);
        await world.send(body, { ...me, tag: message.tag });
      } else if (kind < 0.75) {
        const taker = { tag: next() < 0.4 ? ANY_TAG : below(3), probes: next() < 0.5 };
        const at = waiting.findIndex((message) => matches(taker, message));
        if (at >= 0) taker.takes = waiting.splice(at, 1)[0];
        else posted.push(taker);
        const options = { source: next() < 0.5 ? ANY_SOURCE : 0, tag: taker.tag };
        taker.request = taker.probes ? world.mprobe(options) : world.recv(options);
        taker.request.catch(() => {});
        takers.push(taker);
      } else if (kind < 0.8 && posted.length > 0) {
        const [taker] = posted.splice(below(posted.length), 1);
        assert.equal(taker.request.cancel(), true);
        takers.splice(takers.indexOf(taker), 1);
      } else if (takers.length > 0) {
        const taker = takers[below(takers.length)];
        if (!taker.takes) {
          assert.equal(taker.request.state, "pending");
          continue;
        }
        takers.splice(takers.indexOf(taker), 1);
        let got = await taker.request;
        if (taker.probes && next() < 0.5) {
          assert.equal(got.giveBack(), true);
          deliver(taker.takes);
          continue;
        }
        if (taker.probes) got = await got.recv();
        const { data, tag } = got;
        const number = new DataView(data.buffer, data.byteOffset).getFloat64(0);
        assert.deepEqual({ tag, number }, taker.takes);
      }
    }
    for (const { request } of takers) request.cancel();
  },

  /** Rank 1 sends numbered messages of all sizes under three tags; each tag arrives in order, whatever is given back. */
  async order(world) {
    const COUNT = 600;
    const next = random(5);
    if (world.rank === 1) {
      for (let i = 0; i < COUNT; ++i) {
        const body = bytes([8, 200, 9000, 20_000, 300_000][Math.floor(next() * 5)], i);
        new DataView(body.buffer).setFloat64(0, i);
        void world.send(body, { dest: 0, tag: i % 3, synchronous: next() < 0.1 });
      }
      await world.recv({ tag: 9 });
      return;
    }
    const last = [-1, -1, -1];
    const holds = [];
    for (let got = 0; got < COUNT; ) {
      for (let i = Math.floor(next() * 4); i > 0; --i) {
        const offer = next() < 0.5 ? world.tryMprobe() : world.tryMprobe({ source: 1, tag: Math.floor(next() * 3) });
        if (offer) holds.push(offer);
      }
      // Whatever order they go back in.
      while (holds.length > 0) holds.splice(Math.floor(next() * holds.length), 1)[0].giveBack();
      const tag = last.indexOf(Math.min(...last));
      const message = next() < 0.5 ? await world.recv({ tag }) : await (await world.mprobe({ tag })).recv();
      const number = new DataView(message.data.buffer, message.data.byteOffset).getFloat64(0);
      assert.equal(number, last[tag] < 0 ? tag : last[tag] + 3);
      last[tag] = number;
      ++got;
    }
    await world.send("done", { dest: 1, tag: 9 });
  },

  async synchronous(world) {
    if (world.rank === 1) {
      const send = world.send("sync", { dest: 0, tag: 1, synchronous: true });
      await world.recv({ tag: 2 });
      assert.equal(send.state, "pending", "probed is not received");
      await world.send("go", { dest: 0, tag: 3 });
      return send;
    }
    const own = world.send("own", { dest: 0, tag: 5, synchronous: true });
    const mine = await world.mprobe({ tag: 5 });
    const offer = await world.mprobe({ tag: 1 });
    await world.send("probed", { dest: 1, tag: 2 });
    await world.recv({ tag: 3 });
    assert.equal((await offer.recv()).value, "sync");
    await settled();
    assert.equal(own.state, "pending");
    assert.equal((await mine.recv()).value, "own");
    await own;
  },

  /** What probes hold counts against the sender: beyond its quota of messages nothing more comes. */
  async credit(world) {
    const COUNT = 6000;
    if (world.rank === 1) {
      for (let i = 0; i < COUNT; ++i) void world.send(i, { dest: 0 });
      await world.recv();
      return;
    }
    const offers = [await world.mprobe({ source: 1 })];
    for (let quiet = 0; quiet < 20; ++quiet) {
      for (let offer = world.tryMprobe(); offer; offer = world.tryMprobe()) {
        offers.push(offer);
        quiet = 0;
      }
      await settled();
    }
    assert.ok(offers.length < COUNT, "the quota holds");
    for (const [i, offer] of offers.entries()) assert.equal((await offer.recv()).value, i);
    for (let i = offers.length; i < COUNT; ++i) assert.equal((await world.recv()).value, i);
    await world.send("done", { dest: 1 });
    assert.equal(world.stats().requests, 0);
  },

  /** A worker holds what all protocols brought, posted probes too, and is terminated; then one that closes. */
  async threads(world) {
    const tags = [1, 2, 3];
    if (world.rank === 1) {
      for (let round = 0; round < 2; ++round) {
        const sends = tags.map((tag) => world.send(bytes(tag === 3 ? 100_000 : tag * 50, tag), { dest: 0, tag }));
        await world.recv({ tag: 9 });
        await Promise.all(sends);
      }
      return;
    }
    for (const end of ["terminate", "close"]) {
      const own = world.send(bytes(2000, 4), { dest: 0, tag: 4, synchronous: true });
      const worker = new Worker(fileURLToPath(import.meta.url), { workerData: { end } });
      await once(worker, "message");
      assert.equal(world.tryMprobe(), null, "the worker holds them all");
      const waiting = world.recv({ tag: 2 });
      if (end === "terminate") await worker.terminate();
      else worker.postMessage("close");
      same((await waiting).data, bytes(100, 2));
      for (const tag of [1, 3]) same((await world.recv({ tag })).data, bytes(tag === 3 ? 100_000 : 50, tag));
      same((await world.recv({ tag: 4 })).data, bytes(2000, 4));
      await own;
      await world.send("next", { dest: 1, tag: 9 });
    }
  },

  async forgotten(world) {
    const warned = [];
    process.on("warning", (warning) => warned.push(warning));
    for (let i = 0; i < 3; ++i) await world.send(i, { ...me, tag: 6 });
    const forget = () => void world.tryMprobe({ tag: 6 });
    forget();
    void world.mprobe({ tag: 6 });
    const kept = await world.mprobe({ tag: 6 });
    while (warned.length < 2) {
      globalThis.gc();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    for (const { name, code, message } of warned) {
      assert.deepEqual([name, code], ["CarillonWarning", "CARILLON_FORGOTTEN_OFFER"]);
      assert.match(message, /rank 0 with tag 6/);
    }
    assert.deepEqual([(await world.recv()).value, (await world.recv()).value], [0, 1]);
    assert.equal((await kept.recv()).value, 2);
    // What was received, given back or closed with its world is not forgotten.
    await world.send(3, me);
    await world.send(4, me);
    const done = async () => {
      await (await world.mprobe()).recv();
      world.tryMprobe().giveBack();
      world.tryMprobe();
      await world.close();
    };
    await done();
    for (let i = 0; i < 20; ++i) {
      globalThis.gc();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assert.equal(warned.length, 2);
  },

  async takenBack(world) {
    if (world.rank === 1) {
      const sends = [30_000, 40_000, 50_000].map((size, i) => world.send(bytes(size, i), { dest: 0, tag: 1 }));
      await world.recv({ tag: 2 });
      assert.equal(sends[1].cancel(), true);
      assert.equal(sends[1].cancel(), false);
      await rejects(sends[1], "ERR_CARILLON_CANCELLED");
      await world.send("cancelled", { dest: 0, tag: 3 });
      await Promise.all([sends[0], sends[2]]);
      return;
    }
    const offers = [await world.mprobe({ tag: 1 }), await world.mprobe({ tag: 1 }), await world.mprobe({ tag: 1 })];
    const own = world.send("own", { dest: 0, tag: 5, synchronous: true });
    const mine = world.tryMprobe({ tag: 5 });
    assert.equal(own.cancel(), true);
    assert.match(
      (await rejects(mine.recv(), "ERR_CARILLON_CANCELLED")).message,
      /its sender has taken the message back/,
    );
    await world.send("probed", { dest: 1, tag: 2 });
    await world.recv({ tag: 3 });
    const error = await rejects(offers[1].recv(), "ERR_CARILLON_CANCELLED");
    assert.deepEqual([error.rank, error.tag], [1, 1]);
    offers[2].giveBack();
    offers[0].giveBack();
    for (const [i, size] of [30_000, 40_000, 50_000].entries()) {
      if (i !== 1) same((await world.recv({ tag: 1 })).data, bytes(size, i));
    }
    assert.equal(world.stats().requests, 0);
  },

  async cancelledBefore(world) {
    if (world.rank === 1) {
      const sends = [1, 2].map((tag) => world.send(bytes(30_000, tag), { dest: 0, tag }));
      await world.send("offered", { dest: 0, tag: 3 });
      await world.recv({ tag: 2 });
      assert.equal(sends[0].cancel(), true);
      await world.send("cancelled", { dest: 0, tag: 3 });
      await sends[1];
      return;
    }
    await world.recv({ tag: 3 });
    await world.send("cancel", { dest: 1, tag: 2 });
    await world.recv({ tag: 3 });
    assert.equal(world.tryMprobe({ tag: 1 }), null);
    const offer = await world.mprobe();
    assert.equal(offer.tag, 2);
    same((await offer.recv()).data, bytes(30_000, 2));
  },

  async closed(world) {
    if (world.rank === 1) {
      await world.send("small", { dest: 0, tag: 1 });
      await world.send("small too", { dest: 0, tag: 1 });
      const large = world.send(bytes(100_000), { dest: 0, tag: 2 });
      await world.recv({ tag: 3 });
      await world.close({ timeout: 0 });
      await rejects(large, "ERR_CARILLON_CLOSED");
      return;
    }
    const [small, other, large] = [
      await world.mprobe({ tag: 1 }),
      await world.mprobe({ tag: 1 }),
      await world.mprobe({ tag: 2 }),
    ];
    const waits = [world.mprobe({ source: 1, tag: 7 }), world.mprobe(), world.recv()];
    await world.send("go", { dest: 1, tag: 3 });
    for (const request of waits) await rejects(request, "ERR_CARILLON_PEER_CLOSED");
    assert.equal((await small.recv()).value, "small");
    other.giveBack();
    assert.equal((await (await world.mprobe()).recv()).value, "small too");
    assert.equal((await rejects(large.recv(), "ERR_CARILLON_PEER_CLOSED")).rank, 1);
    await rejects(world.mprobe(), "ERR_CARILLON_PEER_CLOSED");
    await rejects(world.mprobe({ source: 1 }), "ERR_CARILLON_PEER_CLOSED");
    assert.equal(world.tryMprobe({ source: 1 }), null);
    assert.equal(world.stats().requests, 0);
  },

  /** Rank 1 is killed while rank 0 holds offers of it. */
  async lost(world) {
    if (world.rank === 1) {
      void world.send("small", { dest: 0, tag: 1 });
      for (const tag of [2, 2]) void world.send(bytes(100_000), { dest: 0, tag });
      await world.recv({ tag: 3 });
    }
    const [small, large, other] = [
      await world.mprobe({ tag: 1 }),
      await world.mprobe({ tag: 2 }),
      await world.mprobe({ tag: 2 }),
    ];
    const waiting = world.mprobe();
    say({ holds: true });
    await rejects(waiting, "ERR_CARILLON_PEER_LOST");
    other.giveBack();
    assert.equal(world.tryMprobe(), null);
    const { value } = await small.recv();
    const error = await rejects(large.recv(), "ERR_CARILLON_PEER_LOST");
    say({ small: value, large: error.code, of: error.rank });
    assert.equal(world.stats().requests, 0);
  },

  async closes(world) {
    const waiting = world.mprobe({ tag: 3 });
    await world.send("x", me);
    const held = world.tryMprobe();
    const unseen = world.mprobe({ tag: 0 });
    await world.send("y", me);
    await world.close();
    await rejects(waiting, "ERR_CARILLON_CLOSED");
    await unseen.catch(({ code }) => assert.equal(code, "ERR_CARILLON_CLOSED"));
    await rejects(held.recv(), "ERR_CARILLON_CLOSED");
    assert.equal(held.giveBack(), false);
    await rejects(world.mprobe(), "ERR_CARILLON_CLOSED");
    assert.throws(() => world.tryMprobe(), { code: "ERR_CARILLON_CLOSED" });
    // The next world of this thread knows nothing of it.
    const again = await World.join();
    assert.equal(again.tryMprobe(), null);
    await again.send("z", me);
    const offer = again.tryMprobe();
    await rejects(held.recv(), "ERR_CARILLON_CLOSED");
    assert.equal((await offer.recv()).value, "z");
    await again.close();
  },
};

if (isMainThread) {
  await play(scenarios);
} else {
  const world = await World.join();
  const offers = [];
  for (const tag of [3, 2, 1, 4]) offers.push(await world.mprobe({ tag }));
  void world.mprobe({ tag: 2 }).catch(() => {});
  parentPort.postMessage("holds");
  await once(parentPort, "message");
  if (workerData.end === "close") await world.close();
  assert.equal(offers.length, 4);
}
