// Scenarios of test/queues.test.ts: queues that native code fills and worker threads empty, most of which never join.
import assert from "node:assert/strict";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { MessageQueue, World } from "carillon";
import { Behind, Ring } from "../../dist/src/native.js";
import { bytes, play, random, rejects, same, say, settled } from "./scenario.mjs";

const file = fileURLToPath(import.meta.url);
const DONE = 99; // the tag of what the ranks agree on

/** A worker that plays a role; what it fails with is ours. */
function start(role, queue, data = {}) {
  return new Worker(file, { workerData: { role, buffer: queue?.buffer, ...data } });
}

const result = async (worker) => (await once(worker, "message"))[0];

/** Every way of taking: an async function of a queue that returns the next message, or undefined at the end. */
const WAYS = {
  take: (queue) => queue.take(),
  takeAsync: (queue) => queue.takeAsync(),
  async tryTake(queue) {
    return queue.tryTake() ?? queue.takeAsync();
  },
  patient(queue) {
    for (;;) {
      const message = queue.take({ timeout: 1 });
      if (message || queue.closed) return message ?? queue.take();
    }
  },
};

const roles = {
  /** Takes until the end; checks each message, and says which it had, in order. */
  async consume({ buffer, way }) {
    const queue = MessageQueue.from(buffer);
    const had = [];
    if (way === "iterate") for await (const message of queue) had.push(check(message));
    else for (let message = await WAYS[way](queue); message; message = await WAYS[way](queue)) had.push(check(message));
    parentPort.postMessage(had);
  },
  /** Counts in memory that its parent looks at without its event loop. */
  count({ buffer, counter }) {
    const queue = MessageQueue.from(buffer);
    while (queue.take()) Atomics.add(counter, 0, 1);
  },
  /** Parks, and says how that ended. */
  park({ buffer }) {
    const queue = MessageQueue.from(buffer);
    parentPort.postMessage("parks");
    try {
      const message = queue.take();
      parentPort.postMessage(message ? { value: message.value } : { closed: queue.closed });
    } catch ({ code, rank, message }) {
      parentPort.postMessage({ code, rank, message });
    }
  },
  /** Makes a queue, and stays. */
  async own({ tag }) {
    const world = await World.join();
    parentPort.postMessage(world.queue({ tag }).buffer);
    await once(parentPort, "message");
    await world.close();
  },
};

const numbered = (size, number) => [new Uint32Array([number]), bytes(size, number)];
function check({ value: [head, body], byteLength, tag, source }) {
  assert.ok(byteLength > body.length);
  same(body, bytes(body.length, head[0]), `message ${head[0]}`);
  return { number: head[0], tag, source };
}

/** What consumers had together: each of `count` once, and each of them in order, by tag. */
function checkAll(hads, count) {
  const all = hads.flat();
  assert.equal(all.length, count);
  assert.equal(new Set(all.map(({ number }) => number)).size, count, "each once");
  for (const had of hads) {
    const last = new Map();
    for (const { number, tag, source } of had) {
      const key = `${source} ${tag}`;
      assert.ok(number > (last.get(key) ?? -1), "in order");
      last.set(key, number);
    }
  }
}

async function sendAll(world, messages, dest) {
  const pending = new Set();
  for (const { data, tag, synchronous = false } of messages) {
    const send = world.send(data, { dest, tag, synchronous });
    if (send.state !== "pending") continue;
    pending.add(send.then(() => pending.delete(send)));
    if (pending.size > 100) await send;
  }
  await Promise.all(pending);
}

function plan(seed, count, most) {
  const next = random(Number(seed));
  return Array.from({ length: count }, (_, number) => {
    const kind = next();
    const size = Math.floor(next() * (kind < 0.8 ? 100 : kind < 0.97 ? most / 20 : most));
    return { tag: Math.floor(next() * 3), data: numbered(size, number), synchronous: next() < 0.03 };
  });
}

const scenarios = {
  /** Sizes of every protocol through a ring that is small for them, several consumers. */
  async all(world, seed, capacity, count, ...ways) {
    const messages = plan(seed, Number(count), Number(capacity) * 0.45);
    if (world.rank === 1) return sendAll(world, messages, 0);
    const queue = world.queue({ source: 1, byteCapacity: Number(capacity) });
    checkAll(await Promise.all(ways.map((way) => result(start("consume", queue, { way })))), messages.length);
    assert.ok(queue.closed, "its source has left");
  },

  /** The thread that made the queue computes all the time. */
  async busy(world) {
    const [count, wave] = [300, 40];
    if (world.rank === 1) {
      for (let i = 0; i < count; i += wave) {
        // Waves, so that the consumer sleeps in between; some bodies are pulled.
        await Promise.all(
          Array.from({ length: wave }, (_, k) => world.send(bytes(k % 8 ? 50 : 40_000, i + k), { dest: 0, tag: 1 })),
        );
        await world.send(i, { dest: 0, tag: 2, synchronous: true });
        await settled();
      }
      return;
    }
    const counter = new Int32Array(new SharedArrayBuffer(4));
    const queue = world.queue({ source: 1, byteCapacity: 1 << 18 });
    const worker = start("count", queue, { counter });
    await once(worker, "online");
    while (Atomics.load(counter, 0) < count + count / wave); // no turn of the loop, no call
    await once(worker, "exit");
  },

  /** Who is terminated in the middle costs the others nothing: at most what it had just taken goes with it. */
  async terminated(world) {
    const [count, victims] = [3000, 20];
    const messages = Array.from({ length: count }, (_, i) => ({ data: numbered(200, i), tag: 1 }));
    if (world.rank === 1) return sendAll(world, messages, 0);
    const queue = world.queue({ source: 1, byteCapacity: 1 << 14 });
    const survivor = result(start("consume", queue, { way: "take" }));
    const counters = [];
    const ends = Array.from({ length: victims }, async (_, i) => {
      const counter = new Int32Array(new SharedArrayBuffer(4));
      counters.push(counter);
      const worker = start("count", queue, { counter });
      await once(worker, "online");
      for (let turn = 0; turn < i * 3; ++turn) await settled();
      await worker.terminate();
    });
    await Promise.all(ends);
    const had = await survivor;
    const all = had.length + counters.reduce((sum, [taken]) => sum + taken, 0);
    assert.ok(all <= count && all >= count - victims, `${all} of ${count}`);
    for (let i = 1; i < had.length; ++i) assert.ok(had[i].number > had[i - 1].number);
  },

  /** Parked consumers are ended by terminate, and another gets what comes. */
  async parked(world) {
    if (world.rank === 1) {
      await world.recv({ source: 0, tag: DONE });
      await world.send("for you", { dest: 0, tag: 1 });
      return;
    }
    const queue = world.queue({ tag: 1 });
    const workers = [0, 1, 2, 3].map(() => start("park", queue));
    await Promise.all(workers.map(result));
    const left = result(workers[3]);
    for (const worker of workers.slice(0, 3)) assert.equal(await worker.terminate(), 1);
    await world.send(null, { dest: 1, tag: DONE });
    assert.deepEqual(await left, { value: "for you" });
    queue.close();
  },

  /** What can never fit is said to who takes, and stays for a receive; then the queue goes on. */
  async unfit(world) {
    if (world.rank === 1) {
      for (const size of [10, 5000, 40_000, 20]) await world.send(new Uint8Array(size), { dest: 0, tag: 3 });
      await world.recv({ source: 0, tag: DONE });
      return;
    }
    const queue = world.queue({ source: 1, byteCapacity: 4096 });
    assert.equal((await queue.takeAsync()).byteLength, 10);
    for (const [size, take] of [
      [5000, () => queue.takeAsync()],
      [40_000, async () => queue.take()],
    ]) {
      await rejects(take(), "ERR_CARILLON_TRUNCATED", { byteLength: size, rank: 1, tag: 3 });
      await rejects(take(), "ERR_CARILLON_TRUNCATED", { byteLength: size });
      assert.equal((await world.recv({ source: 1 })).byteLength, size);
    }
    assert.equal((await queue.takeAsync()).byteLength, 20);
    queue.close();
    await world.send(null, { dest: 1, tag: DONE });
  },

  /** What comes before what can never fit is taken first, also by who looks just when they come. */
  async unfitLater(world, rounds) {
    if (world.rank === 1) {
      for (let i = 0; i < Number(rounds); ++i) {
        await world.recv({ source: 0, tag: DONE });
        for (const size of [10, 5000]) void world.send(new Uint8Array(size), { dest: 0, tag: 3 });
      }
      return;
    }
    const queue = world.queue({ source: 1, tag: 3, byteCapacity: 4096 });
    for (let i = 0; i < Number(rounds); ++i) {
      await world.send(null, { dest: 1, tag: DONE });
      let message;
      while (!message) message = queue.tryTake(); // JavaScript never lets go: the progress thread fills the queue
      assert.equal(message.byteLength, 10);
      assert.equal((await world.recv({ source: 1, tag: 3 })).byteLength, 5000);
    }
    queue.close();
  },

  /** What was taken by a thread that was terminated before it could say that there is room: here, by nobody. */
  async takenUnsaid(world) {
    const count = 100;
    if (world.rank === 1) {
      for (let i = 0; i < count; i++) void world.send(Uint8Array.of(i, ...bytes(100)), { dest: 0, tag: 4 });
      await world.send(null, { dest: 0, tag: DONE });
      return void (await world.recv({ source: 0, tag: DONE }));
    }
    const queue = world.queue({ source: 1, tag: 4, byteCapacity: 4096 });
    const words = new Int32Array(queue.buffer);
    await world.recv({ source: 1, tag: DONE }); // all have come: nothing else has the ring fed
    while (Atomics.load(words, Ring.behind) !== Behind.room) await settled();
    const head = Atomics.load(words, Ring.head);
    Atomics.store(new BigInt64Array(queue.buffer, 4 * Ring.read, 1), 0, BigInt(head));
    let last = -1;
    while (last < count - 1) {
      const message = queue.take({ timeout: 20_000 });
      assert.ok(message, `after ${last} nobody asked for more`);
      if (last >= 0) assert.equal(message.data[0], last + 1);
      last = message.data[0];
    }
    await world.send(null, { dest: 1, tag: DONE });
    queue.close();
  },

  /** How a queue ends, and what a parked consumer hears of it. */
  async ends(world, how) {
    if (world.rank === 1) {
      await world.recv({ source: 0, tag: DONE });
      if (how === "leaves") await world.close();
      if (how === "dies") process.kill(process.pid, "SIGKILL");
      await world.recv({ source: 0, tag: DONE }).catch(() => {});
      return;
    }
    const owner = how === "thread" ? start("own", undefined, { tag: 1 }) : undefined;
    const queue = owner ? MessageQueue.from(await result(owner)) : world.queue({ source: 1, tag: 1 });
    const workers = [0, 1].map(() => start("park", queue));
    await Promise.all(workers.map(result));
    const heards = workers.map(result);
    await world.send(null, { dest: 1, tag: DONE });
    if (how === "closed") queue.close();
    if (how === "world") await world.close();
    if (how === "thread") await owner.terminate();
    for (const end of await Promise.all(heards)) {
      if (how === "dies") assert.deepEqual([end.code, end.rank], ["ERR_CARILLON_PEER_LOST", 1], end.message);
      else assert.deepEqual(end, { closed: true });
    }
    assert.equal(queue.closed, true);
    if (how === "dies") assert.throws(() => queue.tryTake(), { code: "ERR_CARILLON_PEER_LOST" });
    else assert.equal(queue.tryTake(), undefined);
    if (how === "closed" || how === "thread") await world.send(null, { dest: 1, tag: DONE });
  },

  /** Nobody takes: senders wait, but not those of other tags; what was sent comes whole when somebody does. */
  async full(world) {
    const messages = Array.from({ length: 12_000 }, (_, i) => ({ data: numbered(1000, i), tag: 1 }));
    if (world.rank === 1) {
      const sends = messages.map(({ data, tag }) => world.send(data, { dest: 0, tag }));
      for (let i = 0; i < 50; ++i) {
        await world.send(i, { dest: 0, tag: 2 });
        await world.recv({ source: 0, tag: 2 });
      }
      const left = sends.filter((send) => send.state === "fulfilled").length;
      say({ left });
      await world.send(left, { dest: 0, tag: DONE });
      await Promise.all(sends);
      return;
    }
    const queue = world.queue({ tag: 1, byteCapacity: 1 << 16 });
    for (let i = 0; i < 50; ++i) {
      await world.recv({ source: 1, tag: 2 });
      await world.send(i, { dest: 1, tag: 2 });
    }
    const { value: left } = await world.recv({ source: 1, tag: DONE });
    assert.ok(left < messages.length, `${left} had left although nobody takes`);
    const had = await Promise.all(["take", "iterate"].map((way) => result(start("consume", queue, { way }))));
    checkAll(had, messages.length);
  },

  /** Messages to oneself, short, long and synchronous. */
  async oneself(world) {
    const messages = plan(7, 500, 7000);
    const queue = world.queue({ byteCapacity: 1 << 14 });
    const consumer = result(start("consume", queue, { way: "take" }));
    await sendAll(world, messages, world.rank);
    // What it has not taken when it closes stays in line for others: this is matched after all that came before it.
    await world.send(numbered(1, messages.length), { dest: world.rank, tag: 5, synchronous: true });
    queue.close();
    checkAll([await consumer], messages.length + 1);
    if (world.size > 1) await world.barrier(); // a queue for any source ends when all others have left
  },

  /** One-shot receives come first; in a part of the world ranks are the part's. */
  async line(world) {
    const part = await world.split({ color: 1, key: -world.rank });
    if (world.rank === 1) {
      await world.recv({ source: 0, tag: DONE });
      for (let i = 0; i < 3; ++i) await world.send(i, { dest: 0, tag: 1 });
      await part.send("part", { dest: 1, tag: 1 });
      await world.recv({ source: 0, tag: DONE });
      return;
    }
    const queue = world.queue({ tag: 1 });
    const parts = part.queue();
    const received = world.recv({ tag: 1 });
    await world.send(null, { dest: 1, tag: DONE });
    assert.equal((await received).value, 0);
    assert.equal((await queue.takeAsync()).value, 1);
    const second = await queue.takeAsync();
    assert.deepEqual([second.value, second.source, second.tag], [2, 1, 1]);
    const { source, value } = await MessageQueue.from(parts.buffer).takeAsync();
    assert.deepEqual([source, value], [0, "part"]);
    assert.throws(() => second.reply(1), { code: "ERR_CARILLON_OTHER_THREAD" });
    queue.close();
    parts.close();
    await world.send(null, { dest: 1, tag: DONE });
  },

  /** A wait that is aborted leaves the message to the next. */
  async aborted(world) {
    const queue = world.queue({ tag: 1 });
    const abort = new AbortController();
    const waits = [queue.takeAsync({ signal: abort.signal }), queue.takeAsync()];
    abort.abort(new Error("enough"));
    await assert.rejects(waits[0], { message: "enough" });
    await world.send("late", { dest: world.rank, tag: 1 });
    assert.equal((await waits[1]).value, "late");
    assert.equal(queue.take({ timeout: 0 }), undefined);
    queue.close();
    assert.equal(await queue.takeAsync(), undefined);
    for (const wrong of [{}, new SharedArrayBuffer(8), new SharedArrayBuffer(1 << 16), undefined])
      assert.throws(() => MessageQueue.from(wrong), { code: "ERR_CARILLON_INVALID_ARGUMENT" });
    for (const byteCapacity of [0, -1, 1.5, "1", 2 ** 31])
      assert.throws(() => world.queue({ byteCapacity }), { code: "ERR_CARILLON_INVALID_ARGUMENT" });
    assert.throws(() => world.queue({ source: 5 }), { code: "ERR_CARILLON_INVALID_RANK" });
    assert.throws(() => queue.take({ timeout: -1 }), { code: "ERR_CARILLON_INVALID_ARGUMENT" });
    await rejects(queue.takeAsync({ signal: 1 }), "ERR_CARILLON_INVALID_ARGUMENT");
    assert.throws(() => MessageQueue.from(queue.buffer).close(), { code: "ERR_CARILLON_OTHER_THREAD" });
  },

  /** While it is open the process goes on: to a timer that does not keep it alive itself. Else it would end here, with code 13. */
  async alive(world, open) {
    const queue = world.queue({ tag: 1 });
    if (open === "unreferenced") world.unref();
    await new Promise((resolve) => setTimeout(resolve, 20).unref());
    queue.close();
  },
};

if (isMainThread) await play(scenarios);
else await roles[workerData.role](workerData);
