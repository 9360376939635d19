// Scenarios of test/streams.test.ts: world.messages as an Observable, an async iterable and a Readable.
import assert from "node:assert/strict";
import { once } from "node:events";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { World } from "carillon";
import { firstValueFrom, lastValueFrom, map, Observable, share, take, toArray } from "rxjs";
import { bytes, nothingOutstanding, play, random, rejects, same, settled } from "./scenario.mjs";

const DONE = 99; // the tag of what the ranks agree on
const GO = 98;

/** Calls `each` (which may stop the stream by what it returns) for every message; resolves with how many came, or rejects. */
const consume = {
  async iterator(stream, each) {
    let count = 0;
    for await (const message of stream) if (each(message, count++) === "stop") break;
    return count;
  },
  readable(stream, each) {
    return new Promise((resolve, reject) => {
      let count = 0;
      const readable = stream.toReadable();
      readable.on("data", (message) => {
        if (each(message, count++) === "stop") readable.destroy();
      });
      readable.on("error", reject).on("close", () => resolve(count));
    });
  },
  subscribe(stream, each) {
    return new Promise((resolve, reject) => {
      let count = 0;
      const subscription = stream.subscribe({
        next(message) {
          if (each(message, count++) !== "stop") return;
          subscription.unsubscribe();
          resolve(count);
        },
        error: reject,
        complete: () => resolve(count),
      });
    });
  },
  /** Without awaiting each: several calls of `next` wait at once. */
  async calls(stream, each) {
    const iterator = stream[Symbol.asyncIterator]();
    for (let count = 0; ; ) {
      const results = await Promise.all(Array.from({ length: 7 }, () => iterator.next()));
      for (const { value, done } of results) {
        if (!done && each(value, count++) !== "stop") continue;
        await iterator.return();
        return count;
      }
    }
  },
  async web(stream, each) {
    let count = 0;
    for await (const message of Readable.toWeb(stream.toReadable())) if (each(message, count++) === "stop") break;
    return count;
  },
};

/** Sizes from nothing to what is pulled, in two tags. */
function plan(seed, count) {
  const next = random(seed);
  return Array.from({ length: count }, (_, i) => {
    const kind = next();
    const size = Math.floor(next() * (kind < 0.8 ? 100 : kind < 0.97 ? 16_000 : kind < 0.995 ? 60_000 : 800_000));
    return { tag: Math.floor(next() * 2), data: bytes(4 + size, i), synchronous: next() < 0.03 };
  });
}

/** Sends as fast as back-pressure allows, and says how often it waited. */
async function sendAll(world, messages, dest = 1) {
  const pending = new Set();
  for (const { tag, data, synchronous = false } of messages) {
    const send = world.send(data, { dest, tag, synchronous });
    if (send.state !== "pending") continue;
    pending.add(send);
    send.then(() => pending.delete(send));
    if (pending.size > 50) await send;
  }
  await Promise.all(pending);
}

const numbers = (count, tag = 1) => Array.from({ length: count }, (_, data) => ({ tag, data }));

/** Checks that messages are those of the plan, per tag in order, each once. */
function checker(planned) {
  const left = [0, 1].map((tag) => planned.filter((each) => each.tag === tag));
  return {
    check(message) {
      const expected = left[message.tag].shift();
      assert.ok(expected, `more messages of tag ${message.tag} than were sent`);
      same(message.data, expected.data, "in order, and whole");
    },
    get left() {
      return left[0].length + left[1].length;
    },
  };
}

const isMain = isMainThread || !workerData?.role;
if (isMain)
  await play({
    /** What the README promises of each way. */
    async order(world, way, seed, byteCapacity) {
      const planned = plan(Number(seed), 3003);
      if (world.rank === 0) {
        await sendAll(world, planned);
        return void (await world.recv({ source: 1, tag: DONE }));
      }
      const { check } = checker(planned);
      const stream = world.messages({ source: 0, byteCapacity: Number(byteCapacity) });
      const count = await consume[way](stream, (message, i) => {
        check(message);
        return i === planned.length - 1 && "stop";
      });
      assert.equal(count, planned.length);
      await world.send(null, { dest: 0, tag: DONE });
      await nothingOutstanding(world);
    },

    /**
     * A turn's last message is read, with room that was not told of, when the next one does not fit without it: however many
     * short ones are before a long one.
     */
    async turns(world, way) {
      const long = new Uint8Array(2000);
      const plan = Array.from({ length: 80 }, (_, i) => [...Array(200 + i).fill("x".repeat(i)), long]).flat();
      if (world.rank === 0) {
        for (const value of plan) world.send(value, { dest: 1, tag: 1 });
        return void (await world.recv({ source: 1, tag: DONE }));
      }
      const count = await consume[way](world.messages({ tag: 1, byteCapacity: 4096 }), ({ value }, i) => {
        assert.deepEqual(value, plan[i]);
        return i === plan.length - 1 && "stop";
      });
      assert.equal(count, plan.length);
      await world.send(null, { dest: 0, tag: DONE });
    },

    /** A consumer that is behind: the sender says how much it could send, and all comes in the end. */
    async slow(world, way) {
      const flood = 200_000;
      if (world.rank === 0) {
        let sent = 0;
        for (; sent < flood; ++sent) {
          const send = world.send(sent, { dest: 1, tag: 1 });
          if (send.state !== "pending") continue;
          await world.send(sent, { dest: 1, tag: 2 });
          await send;
          break;
        }
        assert.ok(sent < flood, "back-pressure");
        await sendAll(
          world,
          numbers(flood)
            .slice(sent + 1)
            .map(({ data }) => ({ data, tag: 1 })),
        );
        return void (await world.recv({ source: 1, tag: DONE }));
      }
      const stream = world.messages({ tag: 1 });
      let next = 0;
      const check = ({ value }) => assert.equal(value, next++);
      if (way === "iterator") {
        for await (const message of stream) {
          check(message);
          if (next === 1) await world.recv({ source: 0, tag: 2 }); // it can send no more
          if (next === flood) break;
        }
      } else {
        const readable = stream.toReadable();
        await once(readable, "readable");
        check(readable.read());
        await world.recv({ source: 0, tag: 2 });
        assert.ok(readable.readableLength <= 1);
        for await (const message of readable) {
          check(message);
          if (next === flood) break;
        }
      }
      assert.equal(next, flood);
      await world.send(null, { dest: 0, tag: DONE });
    },

    /** However it is stopped, what was not delivered is received, in order; nothing is lost, nothing comes twice. */
    async stops(world, how, seed, byteCapacity = "4096") {
      const planned = plan(Number(seed), 400);
      if (world.rank === 0) {
        await world.recv({ source: 1, tag: GO });
        await sendAll(world, planned);
        return void (await world.recv({ source: 1, tag: DONE }));
      }
      const { check } = checker(planned);
      const next = random(Number(seed) + 1);
      let got = 0;
      const controller = new AbortController();
      const { signal } = controller;
      const stream = world.messages({ source: 0, byteCapacity: Number(byteCapacity), signal });
      await world.send(null, { dest: 0, tag: GO });
      while (got < planned.length) {
        const most = 1 + Math.floor(next() ** 3 * 100);
        let here = 0;
        const each = (message) => {
          check(message);
          got++;
          return (++here === most || got === planned.length) && "stop";
        };
        if (how in consume) {
          await consume[how](stream, each);
        } else if (how === "take") {
          await lastValueFrom(stream.pipe(take(Math.min(most, planned.length - got)), map(each)));
        } else if (how === "return") {
          const iterator = stream[Symbol.asyncIterator]();
          each((await iterator.next()).value);
          assert.deepEqual(await iterator.return(), { value: undefined, done: true });
          assert.deepEqual(await iterator.next(), { value: undefined, done: true });
        } else if (how === "throw") {
          const iterator = stream[Symbol.asyncIterator]();
          each((await iterator.next()).value);
          await assert.rejects(iterator.throw(new Error("mine")), /mine/);
        } else if (how === "abort") {
          const own = new AbortController();
          const reason = new Error("enough");
          const aborted = world.messages({ source: 0, byteCapacity: 4096, signal: own.signal });
          const done = consume[["iterator", "readable", "subscribe"][got % 3]](aborted, (message) => {
            if (each(message)) own.abort(reason);
          });
          await assert.rejects(done, reason);
        } else if (how === "buffered") {
          // A Readable that has a message in its buffer, and more in the ring, is destroyed before anybody saw any.
          const readable = stream.toReadable();
          await once(readable, "readable");
          assert.equal(readable.readableLength, 1);
          readable.destroy();
          await once(readable, "close");
        }
        // One by one in between, so that the order of both is seen.
        for (let i = Math.floor(next() * 4); i > 0 && got < planned.length; --i, ++got)
          check(await world.recv({ source: 0 }));
      }
      assert.equal(world.tryMprobe({ source: 0 }), null);
      await world.send(null, { dest: 0, tag: DONE });
      await nothingOutstanding(world);
    },

    /** What returns to its place in line: before what came later, also where somebody waits for it. */
    async line(world) {
      const count = 300;
      if (world.rank === 0) {
        for (let i = 0; i < count; ++i) await world.send(i, { dest: 1, tag: 1 });
        await world.send(null, { dest: 1, tag: 2 });
        return void (await world.recv({ source: 1, tag: DONE }));
      }
      await world.recv({ source: 0, tag: 2 }); // all of them are here
      const offer = await world.mprobe({ source: 0, tag: 1 });
      const receive = world.recv({ tag: 1 });
      assert.equal((await receive).value, 1);
      let next;
      const first = world.messages({ tag: 1 }).subscribe(({ value }) => {
        assert.equal(value, 2);
        first.unsubscribe();
        next = world.recv({ tag: 1 }); // at once
      });
      while (!next) await new Promise(setImmediate);
      assert.equal((await next).value, 3);
      offer.giveBack();
      assert.equal((await world.recv({ tag: 1 })).value, 0);
      // A second stream takes over what the first has taken, also what lies in its ring.
      const seen = [];
      const one = world.messages({ tag: 1, byteCapacity: 4096 }).toReadable();
      await once(one, "readable"); // it has begun
      const two = world.messages({ tag: 1 });
      const over = new Promise((resolve) => {
        const second = two.subscribe(({ value }) => {
          if (seen.push(value) < count - 5) return;
          second.unsubscribe();
          resolve();
        });
      });
      assert.equal(one.read().value, 4);
      one.destroy();
      await over;
      assert.deepEqual(
        seen,
        Array.from({ length: count - 5 }, (_, i) => 5 + i),
      );
      await world.send(null, { dest: 0, tag: DONE });
      await nothingOutstanding(world);
    },

    /** Two subscribers compete, the first takes all; what is shared is seen by both. */
    async competes(world) {
      if (world.rank === 0) {
        for (let round = 0; round < 2; ++round) {
          await world.recv({ source: 1, tag: GO });
          for (let i = 0; i < 100; ++i) await world.send(i, { dest: 1, tag: 1 });
        }
        return void (await world.recv({ source: 1, tag: DONE }));
      }
      const all = Array.from({ length: 100 }, (_, i) => i);
      const values = (stream) =>
        firstValueFrom(
          stream.pipe(
            take(100),
            map((message) => message.value),
            toArray(),
          ),
        );
      const stream = world.messages({ tag: 1 });
      const first = values(stream);
      const rest = [];
      const second = stream.subscribe((message) => rest.push(message.value));
      await world.send(null, { dest: 0, tag: GO });
      assert.deepEqual(await first, all);
      assert.deepEqual(rest, []);
      second.unsubscribe();
      const shared = stream.pipe(share());
      const both = [values(shared), values(shared)];
      await world.send(null, { dest: 0, tag: GO });
      assert.deepEqual(await Promise.all(both), [all, all]);
      await world.send(null, { dest: 0, tag: DONE });
      await nothingOutstanding(world);
    },

    /** After all that they sent: sources that left complete it, one that died makes it fail. */
    async ends(world, way, from, how) {
      const count = 5000;
      if (world.rank < world.size - 1) {
        await sendAll(world, numbers(count), world.size - 1);
        if (world.rank === 0 && how === "dies") process.kill(process.pid, "SIGKILL");
        return;
      }
      const next = Array.from({ length: world.size }, () => 0);
      const stream = world.messages({ tag: 1, ...(from === "one" && { source: 0 }) });
      const ended = consume[way](stream, ({ source, value }) => void assert.equal(value, next[source]++));
      if (how === "dies") await rejects(ended, "ERR_CARILLON_PEER_LOST");
      else assert.equal(await ended, from === "one" ? count : count * (world.size - 1));
      if (from !== "one") return;
      // It has ended for whoever comes later, too.
      if (how === "dies") await rejects(consume[way](stream), "ERR_CARILLON_PEER_LOST");
      else assert.equal(await consume[way](stream), 0);
    },

    /** The same in a part of the world that others outlive. */
    async part(world, way, how) {
      const count = 3000;
      const part = await world.split({ color: world.rank < 2 ? 0 : 1 });
      if (world.rank === 0) {
        await sendAll(part, numbers(count));
        if (how === "dies") process.kill(process.pid, "SIGKILL");
        return;
      }
      if (world.rank === 2) return void (await world.recv({ source: 1, tag: DONE }));
      let next = 0;
      const ended = consume[way](part.messages({ byteCapacity: 2048 }), ({ source, value }) => {
        assert.equal(source, 0);
        assert.equal(value, next++);
      });
      if (how === "dies") await rejects(ended, "ERR_CARILLON_PEER_LOST");
      else assert.equal(await ended, count);
      await world.send(null, { dest: 2, tag: DONE });
    },

    /** Stopped after its source has gone: what was taken is received all the same. */
    async after(world, how) {
      const count = 1000;
      if (world.rank === 0) {
        for (let i = 0; i < count; ++i) world.send(i, { dest: 1 });
        await world.recv({ source: 1, tag: GO });
        if (how === "dies") process.kill(process.pid, "SIGKILL");
        return;
      }
      let next = 0;
      for await (const { value } of world.messages({ source: 0, tag: 0 })) {
        assert.equal(value, next++);
        if (next > 1) break;
        await world.send(null, { dest: 0, tag: GO });
        const code = how === "dies" ? "ERR_CARILLON_PEER_LOST" : "ERR_CARILLON_PEER_CLOSED";
        await rejects(world.recv({ source: 0, tag: DONE }), code);
      }
      for (; next < count; ++next) assert.equal((await world.recv({ source: 0, tag: 0 })).value, next);
    },

    /** A world that this thread closes completes its streams, those that wait and those that are behind. */
    async closes(world) {
      if (world.rank === 0) {
        for (let i = 0; i < 100; ++i) await world.send(i, { dest: 1, tag: 1 });
        await world.send(null, { dest: 1, tag: GO });
        return void (await world.recv({ source: 1, tag: DONE }));
      }
      const ways = ["iterator", "readable", "subscribe", "calls", "web"];
      const all = ways.map((way) =>
        consume[way](world.messages({ source: 0, tag: 2 }), () => assert.fail("nothing was sent")),
      );
      const behind = world.messages({ source: 0, tag: 1 })[Symbol.asyncIterator]();
      assert.equal((await behind.next()).value.value, 0);
      await world.recv({ source: 0, tag: GO });
      const stream = world.messages();
      await settled(); // Readables begin in a later turn
      await world.send(null, { dest: 0, tag: DONE });
      await world.close();
      assert.deepEqual(
        await Promise.all(all),
        ways.map(() => 0),
      );
      assert.deepEqual(await behind.next(), { value: undefined, done: true });
      for (const way of ways) await rejects(consume[way](stream), "ERR_CARILLON_CLOSED");
      assert.throws(() => world.messages(), { code: "ERR_CARILLON_CLOSED" });
    },

    /** Arguments, and a signal that was aborted before. */
    async bad(world) {
      const refused = (options, code) => assert.throws(() => world.messages(options), { name: "CarillonError", code });
      for (const source of [1, -2, 0.5, "0", null]) refused({ source }, "ERR_CARILLON_INVALID_RANK");
      for (const tag of [-2, 2 ** 31, 1.5, "1", null]) refused({ tag }, "ERR_CARILLON_INVALID_TAG");
      for (const byteCapacity of [0, 1023, 2 ** 30 + 1, 5000.5, Number.NaN, "4096", null]) {
        refused({ byteCapacity }, "ERR_CARILLON_INVALID_ARGUMENT");
      }
      for (const signal of [{}, "now", null]) refused({ signal }, "ERR_CARILLON_INVALID_ARGUMENT");
      const reason = new Error("before");
      const aborted = world.messages({ signal: AbortSignal.abort(reason) });
      for (const way of ["iterator", "readable", "subscribe"]) await assert.rejects(consume[way](aborted), reason);
      const odd = consume.iterator(world.messages({ byteCapacity: 5001 }), () => "stop"); // is rounded up
      await world.send(1, { dest: 0 });
      assert.equal(await odd, 1);
      await nothingOutstanding(world);
    },

    /** RxJS is not loaded before it is needed, and then it is the user's. */
    async class(world) {
      const stream = world.messages();
      assert.ok(stream instanceof Observable);
      assert.ok(stream.pipe(map(String)) instanceof Observable);
      assert.equal(Object.getPrototypeOf(Object.getPrototypeOf(Object.getPrototypeOf(stream))), Observable.prototype);
      assert.ok(stream.toReadable() instanceof Readable);
      assert.ok(world.recv({ tag: 1 }).unref().toObservable() instanceof Observable);
    },

    /** A flood does not keep the loop's other callbacks from their turn. */
    async flood(world, way) {
      const count = 100_000;
      if (world.rank === 0) {
        await sendAll(world, numbers(count));
        return void (await world.recv({ source: 1, tag: DONE }));
      }
      let since = 0;
      let most = 0;
      let running = true;
      const turn = () => {
        most = Math.max(most, since);
        since = 0;
        if (running) setImmediate(turn);
      };
      turn();
      await consume[way](world.messages({ tag: 1 }), (_, i) => {
        ++since;
        return i === count - 1 && "stop";
      });
      running = false;
      assert.ok(most <= 16_384, `${most} messages in one turn of the loop`);
      await world.send(null, { dest: 0, tag: DONE });
    },

    /** Messages to oneself go past the ring, and return to their place, too. */
    async oneself(world) {
      for (let i = 0; i < 100; ++i) world.send(i, { dest: 0 });
      let next = 0;
      for await (const { value } of world.messages()) {
        assert.equal(value, next++);
        if (next === 10) break;
      }
      let received;
      const subscription = world.messages().subscribe(({ value }) => {
        assert.equal(value, next++);
        if (next < 20) return;
        subscription.unsubscribe();
        received = world.recv();
      });
      while (!received) await new Promise(setImmediate);
      assert.equal((await received).value, next++);
      const readable = world.messages().toReadable();
      await once(readable, "readable");
      readable.destroy();
      await once(readable, "close");
      for (; next < 100; ++next) assert.equal((await world.recv()).value, next);
      await nothingOutstanding(world);
    },

    /** Leased memory, and bodies too long for any ring, given back and received. */
    async large(world) {
      const lengths = [1 << 20, 3 << 20, 100_000];
      if (world.rank === 0) {
        for (const [i, length] of lengths.entries()) {
          const lease = world.allocate(length);
          lease.data.set(bytes(length, i));
          world.send(lease, { dest: 1 });
          world.send(bytes(length, 10 + i), { dest: 1 });
        }
        return void (await world.recv({ source: 1, tag: DONE }));
      }
      const seeds = [0, 10, 1, 11, 2, 12];
      const check = ({ value }, i) => same(value, bytes(lengths[i >> 1], seeds[i]), `body ${i}`);
      for (let i = 0; i < seeds.length; i += 2) {
        const readable = world.messages({ source: 0 }).toReadable();
        await once(readable, "readable");
        readable.destroy(); // with the message in its buffer
        await once(readable, "close");
        const waiting = world.messages({ source: 0 }).subscribe(() => assert.fail("stopped"));
        waiting.unsubscribe();
        check(await world.recv({ source: 0 }), i);
        for await (const message of world.messages({ source: 0 })) {
          check(message, i + 1);
          break;
        }
      }
      await world.send(null, { dest: 0, tag: DONE });
      await nothingOutstanding(world);
    },

    /** Each thread of a rank has streams of its own; what one gives back another receives. */
    async threads(world) {
      const count = 4000;
      if (world.rank === 0) {
        await world.recv({ source: 1, tag: GO });
        await sendAll(world, numbers(count));
        await world.recv({ source: 1, tag: DONE });
        return;
      }
      const memory = new SharedArrayBuffer(count);
      const workers = Array.from({ length: 3 }, (_, seed) => {
        const worker = new Worker(fileURLToPath(import.meta.url), { workerData: { role: true, memory, seed, count } });
        return new Promise((resolve, reject) => worker.on("error", reject).on("exit", resolve));
      });
      await world.send(null, { dest: 0, tag: GO });
      assert.deepEqual(await Promise.all(workers), [0, 0, 0]);
      const times = new Uint8Array(memory);
      const wrong = times.findIndex((each) => each !== 1);
      assert.equal(wrong, -1, `message ${wrong} came ${times[wrong]} times`);
      await world.send(null, { dest: 0, tag: DONE });
    },

    /** A thread closes while it may be copying a long body; what it has not handed out is another's. */
    async copying(world) {
      const [count, length] = [25, 3 << 20];
      if (world.rank === 0) {
        await sendAll(
          world,
          Array.from({ length: count }, (_, i) => ({ tag: 1, data: bytes(length, i) })),
        );
        return void (await world.recv({ source: 1, tag: DONE }));
      }
      const had = [];
      while (had.length < count - 5) {
        const worker = new Worker(fileURLToPath(import.meta.url), {
          workerData: { role: "closes", had: had.length, length },
        });
        worker.on("message", (first) => had.push(first));
        assert.deepEqual(await once(worker, "exit"), [0]);
      }
      while (had.length < count) had.push((await world.recv({ source: 0, tag: 1 })).data[0]);
      assert.deepEqual(
        had,
        Array.from({ length: count }, (_, i) => bytes(length, i)[0]),
      );
      await world.send(null, { dest: 0, tag: DONE });
    },
  });
else if (workerData.role === "closes") await closer(workerData);
else await worker(workerData);

/** Receives by a stream or one by one, and closes the world some moments later. */
async function closer({ had, length }) {
  bytes(length); // made now, it takes no time later
  const world = await World.join();
  let number = had;
  const took = ({ data }) => {
    same(data, bytes(length, number++));
    parentPort.postMessage(data[0]);
  };
  const next = random(had);
  const ways = [
    () => consume.subscribe(world.messages({ tag: 1 }), took),
    async () => {
      for (;;) took(await world.recv({ source: 0, tag: 1 }));
    },
    () => consume.iterator(world.messages({ tag: 1 }), took),
  ];
  const ended = ways[had % 3]().catch((error) => assert.equal(error.code, "ERR_CARILLON_CLOSED"));
  const moment = 50 * next();
  for (const begin = performance.now(); performance.now() - begin < moment; ) await settled();
  await world.close();
  await ended;
}

/** Begins and stops streams until every message has been seen by somebody: whoever sees the last tells the others. */
async function worker({ memory, seed, count }) {
  const world = await World.join();
  const times = new Uint8Array(memory);
  const next = random(seed);
  const ways = ["iterator", "readable", "subscribe"];
  const seen = () => times.reduce((sum, each) => sum + each, 0);
  const over = new AbortController();
  const channel = new BroadcastChannel("streams");
  channel.onmessage = () => over.abort();
  // They may have seen everything before this one was there to be told.
  while (!over.signal.aborted && seen() < count) {
    const most = Math.floor(next() * 50);
    const stream = world.messages({ tag: 1, byteCapacity: 2048, signal: over.signal });
    const all = consume[ways[Math.floor(next() * 3)]](stream, ({ value }, i) => {
      Atomics.add(times, value, 1);
      if (seen() === count) {
        channel.postMessage(null);
        over.abort();
      }
      return i === most && "stop";
    });
    await all.catch((error) => assert.equal(error.name, "AbortError"));
  }
  channel.close();
  await world.close();
}
