// Scenarios of test/threads.test.ts: the threads of a rank, each with a handle of its own.
import assert from "node:assert/strict";
import { on, once } from "node:events";
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, threadId, Worker, workerData } from "node:worker_threads";
import { World } from "carillon";
import { bytes, heard, nothingOutstanding, random, rejects, same, say, settled } from "./scenario.mjs";

const file = fileURLToPath(import.meta.url);

/** A worker that plays a role; its error is ours. */
function start(role, data = {}) {
  const worker = new Worker(file, { workerData: { role, ...data } });
  exits.set(worker, new Promise((resolve) => worker.once("exit", resolve)));
  return worker;
}

const exits = new Map();
const ended = (worker) => exits.get(worker);

async function endWell(workers) {
  assert.deepEqual(
    await Promise.all(workers.map(ended)),
    workers.map(() => 0),
  );
}

/** A message that says by itself what it should be. */
function parcel(size, seed) {
  return [new Uint32Array([seed]), bytes(size, seed)];
}

function checkParcel({ value: [head, body] }) {
  same(body, bytes(body.length, head[0]), `parcel ${head[0]}`);
  return head[0];
}

/** Of the sixteen threads: what any of them takes, and each one's last word. */
const ANYBODYS = 200;
const LAST = 201;
/** Mostly short, now and then what is pulled in parts. */
const mixed = (next) => Math.floor(next() ** 6 * 1_500_000);

const roles = {
  /** Loads the addon again and again, as each new thread does once. */
  loads({ addon }) {
    parentPort.postMessage("loads");
    for (;;) process.dlopen({ exports: {} }, addon);
  },

  /** Sends one message to each of the others and receives one from each, again and again. */
  async exchange({ me, all, rounds }) {
    const world = await World.join();
    const next = random(me);
    const rankOf = (thread) => thread % world.size;
    for (let round = 0; round < rounds; ++round) {
      const requests = [];
      for (let other = 0; other < all; ++other) {
        const size = Math.floor(next() ** 4 * 400_000);
        const tag = me * all + other;
        requests.push(world.send(parcel(size, tag * rounds + round), { dest: rankOf(other), tag }));
      }
      for (let other = 0; other < all; ++other) {
        const tag = other * all + me;
        const request = world.recv({ source: rankOf(other), tag });
        requests.push(request.then((message) => assert.equal(checkParcel(message), tag * rounds + round)));
      }
      await Promise.all(requests);
    }
    await world.close();
  },

  async echo({ tag }) {
    const world = await World.join();
    const message = await world.recv({ tag });
    await world.send([...message.value, threadId], { dest: message.source, tag: tag + 1 });
    await world.close();
  },

  async twice() {
    const world = await World.join();
    await rejects(World.join(), "ERR_CARILLON_ALREADY_JOINED");
    await world.close();
  },

  /** Ends by itself, without close. */
  async leaves() {
    const world = await World.join();
    await world.send("from a worker", { dest: world.rank, tag: 1 });
  },

  async exits() {
    const world = await World.join();
    void world.recv({ tag: 9 });
    process.exit(3);
  },

  async throws() {
    const world = await World.join();
    void world.recv({ tag: 9 });
    throw new RangeError("on purpose");
  },

  /** Holds a handle until it is told. */
  async holds() {
    const world = await World.join();
    parentPort.postMessage("joined");
    await once(parentPort, "message");
    await world.send("still here", { dest: 1 });
    await world.close();
  },

  /** One of many, to be terminated in mid-transfer. */
  async transfers() {
    const world = await World.join();
    parentPort.postMessage("joined");
    await once(parentPort, "message"); // the others of its round have started too
    let flows = false;
    const into = () => [undefined, new Uint8Array(2 << 20), new Uint8Array(new SharedArrayBuffer(2 << 20))];
    const receive = async (memory) => {
      for (;;) {
        checkParcel(await world.recv({ source: 1, tag: 1, into: memory }));
        if (!flows) parentPort.postMessage("flows");
        flows = true;
      }
    };
    const send = async (size) => {
      for (let i = 0; ; ++i) await world.send(parcel(size, i), { dest: 1, tag: 2 });
    };
    const local = async () => {
      for (let i = 0; ; ++i) {
        void world.recv({ source: 0, tag: 77 + threadId });
        await world.send(parcel(5000, i), { dest: 0, tag: 77 + threadId });
        await settled();
      }
    };
    await Promise.all([...into().map(receive), send(700_000), send(9000), local()]);
  },

  /** One of sixteen: exchanges with rank 1 by a tag of its own, and takes its share of what anybody may take. */
  async sixteenth({ me, rounds, share, seen }) {
    const words = on(parentPort, "message");
    const world = await World.join();
    parentPort.postMessage("joined");
    await words.next(); // all have
    const next = random(me);
    const all = [];
    const ask = async () => {
      for (let i = 0; i < rounds; ++i) all.push(world.send(parcel(mixed(next), me * rounds + i), { dest: 1, tag: me }));
      for (let i = 0; i < rounds; ++i) {
        assert.equal(checkParcel(await world.recv({ source: 1, tag: me })), me * rounds + i);
      }
    };
    const take = async (options) => {
      const number = checkParcel(await world.recv(options));
      assert.equal(Atomics.add(seen, number, 1), 0, `parcel ${number} came twice`);
    };
    all.push(ask());
    for (let i = 0; i < share; ++i) all.push(take({ tag: ANYBODYS }), take({ source: 0 }));
    await Promise.all(all);
    parentPort.postMessage("done");
    await words.next(); // the main thread has closed
    await words.return(); // it keeps the thread alive
    await world.send("last", { dest: 1, tag: LAST });
    await world.close();
  },

  /** One of the sixteen that is terminated: sends what rank 1 is copying when that happens. */
  async doomed({ me }) {
    const words = on(parentPort, "message");
    const world = await World.join();
    parentPort.postMessage("joined");
    await words.next();
    const next = random(me);
    const send = async () => {
      for (let i = 0; ; ++i) {
        await world.send(parcel(mixed(next), i), { dest: 1, tag: me });
        if (i === 5) parentPort.postMessage("flows");
      }
    };
    await Promise.all([send(), send(), send()]);
  },

  async waits() {
    const world = await World.join();
    const waiting = world.recv({ source: world.rank, tag: 5 });
    parentPort.postMessage("posted");
    parentPort.postMessage({ got: (await waiting).value });
    await world.close();
  },

  /** Sends, then stays. */
  async stays() {
    const world = await World.join();
    await world.send("x", { dest: 1 });
    parentPort.postMessage("sent");
    await world.recv({ tag: 9 });
  },
};

const scenarios = {
  async talk() {
    const world = await World.join();
    const workers = [start("echo", { tag: 10 }), start("echo", { tag: 20 })];
    // To the workers of this rank and to those of the other.
    const peer = 1 - world.rank;
    await world.send(["to my own"], { dest: world.rank, tag: 10 });
    await world.send(["to the other"], { dest: peer, tag: 20 });
    const own = await world.recv({ source: world.rank, tag: 11 });
    const other = await world.recv({ source: peer, tag: 21 });
    assert.deepEqual([own.value[0], other.value[0]], ["to my own", "to the other"]);
    assert.ok(own.value[1] > 0 && other.value[1] > 0);
    await endWell(workers);
    await world.close();
  },

  async exchange(rounds) {
    const world = await World.join();
    const all = 8;
    const workers = [];
    for (let me = 0; me < all; ++me) {
      if (me % world.size === world.rank) workers.push(start("exchange", { me, all, rounds: Number(rounds) }));
    }
    await endWell(workers);
    await world.close();
  },

  /** Sixteen threads of rank 0 at once; four of them are terminated in mid-transfer, then the main thread leaves before the others. */
  async sixteen() {
    const world = await World.join();
    const [wells, rounds, share] = [12, 8, 4];
    const own = wells * share; // parcels that rank 0 sends itself, numbered behind those of rank 1
    if (world.rank === 0) {
      const seen = new Int32Array(new SharedArrayBuffer(4 * 2 * own));
      const workers = Array.from({ length: 16 }, (_, me) =>
        start(me < wells ? "sixteenth" : "doomed", { me, rounds, share, seen }),
      );
      const tell = (some, word) => {
        for (const worker of some) worker.postMessage(word);
      };
      const said = (some) => Promise.all(some.map((worker) => once(worker, "message")));
      const [well, doomed] = [workers.slice(0, wells), workers.slice(wells)];
      await said(workers);
      const done = said(well);
      const flow = said(doomed);
      tell(workers, "go");
      const next = random(99);
      const sends = Array.from({ length: own }, (_, i) =>
        world.send(parcel(mixed(next), own + i), { dest: 0, tag: 300 + i }),
      );
      await flow;
      await Promise.all(doomed.map((worker) => worker.terminate()));
      await Promise.all([done, ...sends]);
      assert.ok(seen.every((times) => times === 1));
      await world.close();
      tell(well, "closed");
      return endWell(well);
    }
    const checks = Array.from({ length: 16 }, async (_, me) => {
      for (let i = 0; me >= wells || i < rounds; ++i) {
        const message = await world.recv({ source: 0, tag: me });
        checkParcel(message);
        if (me < wells) await message.reply(message.value);
      }
    });
    const next = random(100);
    for (let i = 0; i < own; ++i) checks.push(world.send(parcel(mixed(next), i), { dest: 0, tag: ANYBODYS }));
    for (let i = 0; i < wells; ++i) assert.equal((await world.recv({ source: 0, tag: LAST })).value, "last");
    await Promise.all(
      checks.map((each, i) => (i >= wells && i < 16 ? rejects(each, "ERR_CARILLON_PEER_CLOSED") : each)),
    );
    await world.close();
  },

  async joins() {
    const world = await World.join();
    await rejects(World.join(), "ERR_CARILLON_ALREADY_JOINED");
    await endWell([start("twice"), start("twice")]);
    const closing = world.close();
    await rejects(World.join(), "ERR_CARILLON_ALREADY_JOINED");
    await closing;
    for (let i = 0; i < 3; ++i) {
      const again = await World.join();
      assert.deepEqual([again.rank, again.size], [0, 1]);
      await again.send(i, { dest: 0 });
      assert.equal((await again.recv()).value, i);
      await rejects(world.recv(), "ERR_CARILLON_CLOSED");
      await again.close();
    }
    // Both at once: one is too many.
    const both = await Promise.allSettled([World.join(), World.join()]);
    assert.deepEqual(both.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
    await both.find(({ status }) => status === "fulfilled").value.close();
  },

  /** What a launched process has left it cannot join again. */
  async rejoin() {
    const world = await World.join();
    await world.close();
    await rejects(World.join(), "ERR_CARILLON_CLOSED");
  },

  /** Receives of several threads stand in one line. */
  async line() {
    const world = await World.join();
    const first = world.recv({ source: world.rank, tag: 5 });
    const worker = start("waits");
    const exit = ended(worker);
    await once(worker, "message");
    const third = world.recv({ source: world.rank, tag: 5 });
    const said = once(worker, "message");
    for (let i = 1; i <= 3; ++i) await world.send(i, { dest: world.rank, tag: 5 });
    assert.equal((await first).value, 1);
    assert.deepEqual((await said)[0], { got: 2 });
    assert.equal((await third).value, 3);
    assert.equal(await exit, 0);
    await world.close();
  },

  async ends() {
    const world = await World.join();
    await endWell([start("leaves")]);
    assert.equal((await world.recv({ tag: 1 })).value, "from a worker");
    assert.equal(await ended(start("exits")), 3);
    const failing = start("throws");
    const [error] = await once(failing, "error");
    assert.equal(error.message, "on purpose");
    assert.equal(await ended(failing), 1);
    // Nobody's receive took this one with it.
    await world.send("here", { dest: world.rank, tag: 9 });
    assert.equal((await world.recv({ tag: 9 })).value, "here");
    await world.close();
  },

  /** The rank leaves with the last of its threads. */
  async counted() {
    const world = await World.join();
    if (world.rank === 0) {
      const worker = start("holds");
      const exit = ended(worker);
      await once(worker, "message");
      await world.close();
      worker.postMessage("go");
      assert.equal(await exit, 0);
    } else {
      assert.equal((await world.recv({ source: 0 })).value, "still here");
      assert.equal((await rejects(world.recv({ source: 0 }), "ERR_CARILLON_PEER_CLOSED")).rank, 0);
      await world.close();
    }
  },

  /** A thread is terminated while it loads the addon, at whatever step of that. */
  async loading(count) {
    const addon = fileURLToPath(new URL(`../../prebuilds/linux-${process.arch}/carillon.node`, import.meta.url));
    for (let i = 0; i < Number(count); ++i) {
      const worker = start("loads", { addon });
      await once(worker, "message");
      await worker.terminate();
    }
    const world = await World.join();
    await world.send(1, { dest: 0 });
    assert.equal((await world.recv()).value, 1);
    await world.close();
  },

  /** Workers of rank 0 are terminated while they talk to rank 1: neither main thread is harmed. */
  async terminate(rounds) {
    const world = await World.join();
    const next = random(42);
    if (world.rank === 0) {
      for (let i = 0; i < Number(rounds); ++i) {
        const workers = Array.from({ length: 4 }, () => start("transfers"));
        await Promise.all(workers.map((worker) => once(worker, "message")));
        const flow = Promise.all(workers.map((worker) => once(worker, "message")));
        for (const worker of workers) worker.postMessage("go");
        await flow;
        const until = performance.now() + next() * 12;
        if (i % 3 === 0) while (performance.now() < until);
        else if (i % 3 === 1) await new Promise((resolve) => setTimeout(resolve, next() * 12));
        await Promise.all(workers.map((worker) => worker.terminate()));
      }
      await world.send("stop", { dest: 1, tag: 3 });
      for (;;) {
        const message = await world.recv({ source: 1 });
        if (message.tag === 3) break;
        checkParcel(message);
      }
      // What this thread took goes back when its requests are forgotten, and to its sender with the next progress, which is
      // made before any answer is here.
      await nothingOutstanding(world);
      await world.send("drained", { dest: 1, tag: 6 });
      await world.recv({ source: 1, tag: 6 });
      // Their memory and their credit came back: a burst that fits the quota is not offered.
      await world.send("go", { dest: 1, tag: 4 });
      for (let i = 0; i < 90; ++i) assert.equal(checkParcel(await world.recv({ source: 1, tag: 4 })), i);
      await world.send("bye", { dest: 1, tag: 5 });
    } else {
      const stop = world.recv({ source: 0, tag: 3 });
      let stopped = false;
      void stop.then(() => {
        stopped = true;
      });
      let sent = 0;
      const send = async (size) => {
        while (!stopped) await world.send(parcel(size, ++sent), { dest: 0, tag: 1 });
      };
      const receive = async () => {
        for (;;) checkParcel(await world.recv({ source: 0, tag: 2 }));
      };
      const receiving = receive().catch((error) => assert.match(error.code, /CLOSED$/));
      const lines = Promise.all([100, 3000, 15_000, 200_000, 1_500_000].map(send));
      await stop;
      // Order is a tag's own: what waits for credit here could otherwise come after it, when nobody receives any more.
      await lines;
      await world.send("the last", { dest: 0, tag: 3 });
      await (await world.recv({ source: 0, tag: 6 })).reply("seen");
      await world.recv({ source: 0, tag: 4 });
      const offers = world.stats().offersSent;
      for (let i = 0; i < 90; ++i) void world.send(parcel(10_000, i), { dest: 0, tag: 4 });
      assert.equal(world.stats().offersSent - offers, 0, "credit was lost");
      await world.recv({ source: 0, tag: 5 });
      await world.close();
      await receiving;
    }
    await world.close();
  },

  /** Rank 0 ends with this code while a worker of it waits; its main thread has joined or not. */
  async exit(code, joins) {
    const { CARILLON_RANK: rank } = process.env;
    const world = rank === "1" || joins === "true" ? await World.join() : undefined;
    if (rank === "0") {
      const worker = start("stays");
      await once(worker, "message");
      say({ sent: true });
      await heard();
      process.exit(Number(code));
    }
    assert.equal((await world.recv({ source: 0 })).value, "x");
    const error = await world.recv({ source: 0 }).catch((reason) => reason);
    say({ error: error.code, of: error.rank });
    await world.close();
  },
};

if (isMainThread) await scenarios[process.argv[2]](...process.argv.slice(3));
else await roles[workerData.role](workerData);
