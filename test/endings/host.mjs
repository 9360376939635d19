// Two ranks that go on: threads of rank 0 end, one at each moment, by terminate, destroy of their pool or world.close, while they talk to rank 1
// by many protocols and compete for what it sends. What comes is taken once; what nobody ended took is there; both are as they began.
//   host.mjs ENDING SEED MEMORY FIRST MOMENTS UNTIL, with MEMORY the addon of memory.cc
import assert from "node:assert/strict";
import { setTimeout as later } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { World } from "carillon";
import { ComputePool } from "carillon/pool";
import { bytes, nothingOutstanding, rejects, same, say } from "../programs/scenario.mjs";
import { baseline, holdings, memoryInUse, nothingLeft } from "./holdings.mjs";
import { clock } from "./jobs.mjs";
import { check, endsWith, LINES, QUEUED, receiving, sending, takeRest } from "./lines.mjs";
import { generator, momentOf } from "./moments.mjs";

const [ending, seed, addon, ...numbers] = process.argv.slice(2);
const [first, moments, until] = numbers.map(Number);
const rank = Number(process.env.CARILLON_RANK);

/** Threads that talk at once. */
const SLOTS = ending === "destroy" ? 2 : 3;
/** Some threads do nothing but wait for the main thread's queue. */
const PARKING = ending !== "close";
/** Moments until everything that is had once has been had. */
const WARM = Math.min(40, moments);
/** A line's messages, by their numbers, until they begin again: what is noted of each is the lap. */
const MOST = 1 << 18;
const lapOf = (number) => 1 + Math.floor(number / MOST);

// Tags: of the lines to rank 0, which all threads share; of those to rank 1; of what main threads say to each other, and of each slot's word.
const BACK = 20;
const CONTROL = 60;
const WORD = 61;

/** Rank 1. */
async function accompany() {
  const bare = await baseline();
  const world = await World.join();
  const next = generator(seed, "partner", first);
  let stopped = false;
  let leaving = false;
  const left = new Uint8Array(LINES.length * MOST);
  const sends = LINES.map((line, index) =>
    sending(world, 0, line, index, {
      next,
      sent() {},
      left(number) {
        left[index * MOST + (number % MOST)] = lapOf(number);
      },
      stops: () => stopped,
    }),
  );
  const receives = LINES.map((line, index) => {
    const last = new Map();
    return receiving(world, 0, line, BACK + index, {
      next,
      took(number, sender) {
        assert.ok(number > (last.get(sender) ?? -1), `message ${number} (${line.name}) of thread ${sender}`);
        last.set(sender, number);
      },
    });
  });
  const words = Array.from({ length: SLOTS }, async (_, slot) => {
    for (;;) {
      const message = await world.recv({ source: 0, tag: WORD + slot });
      await message.reply(message.data);
    }
  });
  for (const each of [...receives, ...words]) {
    each.catch((error) => {
      if (!leaving) throw error;
    });
  }
  const orders = {
    measure: () => memoryInUse(addon),
    async stop() {
      stopped = true;
      await Promise.all(sends);
      return LINES.map((_, index) => left.slice(index * MOST, (index + 1) * MOST));
    },
  };
  for (;;) {
    const message = await world.recv({ source: 0, tag: CONTROL });
    if (message.value === "end") break;
    await message.reply(await orders[message.value]());
  }
  leaving = true;
  say({ leaves: clock() });
  await world.close();
  const what = "receives";
  await Promise.all(
    receives.map((each, index) => endsWith("ERR_CARILLON_CLOSED", undefined, LINES[index], what, each)),
  );
  await nothingLeft(bare);
}

/** Rank 0: what its threads share. */
const took = new Uint8Array(new SharedArrayBuffer(LINES.length * MOST));
const counts = new Int32Array(new SharedArrayBuffer(4 * SLOTS));
let world;
let queue;
let begun = 0;

/** What a thread does. */
function roleOf(slot, moment) {
  const { next } = moment;
  const some = () => LINES.map((_, index) => index).filter((index) => next() < (LINES[index].dear ? 0.15 : 0.4));
  const role = { slot, took, counts, lines: { most: MOST, back: BACK }, number: ++begun, seed, incoming: some() };
  role.outgoing = [...new Set([0, ...some()])];
  role.parks = PARKING && next() < 0.1 ? queue.buffer : undefined;
  role.computes = ending !== "close" && next() < 0.2;
  return role;
}

/** A thread that does not count messages is not waited for so long. */
const arrives = async (slot, moment, { parks, computes: busy } = {}) => {
  const { messages, waits = parks || busy ? 20_000 : 500_000, computes = 0 } = moment;
  const until = performance.now() + waits / 1000;
  while (Atomics.load(counts, slot) < (messages ?? Number.POSITIVE_INFINITY) && performance.now() < until)
    await later(1);
  for (const over = performance.now() + computes / 1000; performance.now() < over; );
};

/** Threads that talk, by slot. */
const talking = new Map();

/** The others and the peer go on: a word with it, and a message of each thread that still talks. */
async function goOn(slot) {
  const began = clock();
  for (const size of [8, 9000, 300_000]) {
    const answer = world.recv({ source: 1, tag: WORD + slot });
    await world.send(bytes(size, slot), { dest: 1, tag: WORD + slot });
    same((await answer).data, bytes(size, slot));
  }
  await Promise.all(
    [...talking].map(async ([other, role]) => {
      const before = Atomics.load(counts, other);
      while (talking.get(other) === role && Atomics.load(counts, other) === before) await later(1);
    }),
  );
  return clock() - began;
}

const endings = {
  async terminate(slot, moment) {
    const { next } = moment;
    const role = roleOf(slot, moment);
    Atomics.store(counts, slot, 0);
    const how = role.parks || role.computes || next() < 0.7 ? "terminate" : next() < 0.5 ? "exit" : "throw";
    if (how !== "terminate") role.ends = { how, moment: { ...moment, next: undefined } };
    const worker = new Worker(new URL("./host-thread.mjs", import.meta.url), { workerData: role });
    const exits = new Promise((resolve) => worker.once("exit", resolve));
    const failure = new Promise((resolve) => worker.once("error", resolve));
    const early = next() < 0.1; // before it has joined
    await new Promise((resolve) => worker.once(early ? "online" : "message", resolve));
    if (!early && !role.parks && !role.computes) talking.set(slot, role);
    let began;
    if (how === "terminate") {
      await arrives(slot, moment, role);
      talking.delete(slot);
      began = clock();
      await worker.terminate();
    } else {
      worker.on("message", (at) => {
        began = at;
      });
      const code = await exits;
      talking.delete(slot);
      assert.equal(code, how === "exit" ? 5 : 1);
      if (how === "throw") assert.equal((await failure).message, "on purpose");
    }
    await exits;
    return clock() - began;
  },

  async destroy(slot, moment) {
    const { next } = moment;
    const size = next() < 0.2 ? 2 : 1;
    const filename = new URL("./host-thread.mjs", import.meta.url);
    const pool = new ComputePool(world, { filename, minThreads: size, maxThreads: size });
    Atomics.store(counts, slot, 0);
    // One more than there are threads.
    const roles = Array.from({ length: size + 1 }, () => roleOf(slot, moment));
    const tasks = roles.map((role) => pool.run(role).then(assert.fail, () => {}));
    await arrives(slot, moment, roles[0]);
    const began = clock();
    await pool.destroy();
    await Promise.all(tasks);
    return clock() - began;
  },

  async close(slot, moment) {
    const worker = staying[slot];
    const role = roleOf(slot, moment);
    const timeout = [0, 0, 5, 30][Math.floor(moment.next() * 4)];
    worker.postMessage({ ...role, closes: { moment: { ...moment, next: undefined }, timeout } });
    return new Promise((resolve) => worker.once("message", resolve));
  },
};

/** Threads that join, close and join again. */
let staying = [];

async function play(from, upTo) {
  if (ending === "close") {
    staying = Array.from({ length: SLOTS }, () => new Worker(new URL("./host-thread.mjs", import.meta.url)));
    await Promise.all(staying.map((each) => new Promise((resolve) => each.once("message", resolve))));
  }
  let number = from;
  const slowest = { ending: 0, hearing: 0 };
  const slots = Array.from({ length: SLOTS }, async (_, slot) => {
    while (number < upTo && clock() < until) {
      const mine = number++;
      const ends = await endings[ending](slot, momentOf(seed, ending, mine));
      const hears = await goOn(slot);
      say({ moment: mine, ends, hears });
      slowest.ending = Math.max(slowest.ending, ends);
      slowest.hearing = Math.max(slowest.hearing, hears);
    }
  });
  await Promise.all(slots);
  for (const each of staying) {
    each.postMessage("end");
    await new Promise((resolve) => each.once("exit", resolve));
  }
  staying = [];
}

/** An order to rank 1. */
async function order(what) {
  const answer = world.recv({ source: 1, tag: CONTROL });
  await world.send(what, { dest: 1, tag: CONTROL });
  return (await answer).value;
}

/** What rank 1 sent is here, once, but for what ended threads had taken. */
async function account() {
  const mark = (index) => (number) => {
    const at = index * MOST + (number % MOST);
    assert.ok(took[at] < lapOf(number), `message ${number} (${LINES[index].name}) came twice`);
    took[at] = lapOf(number);
  };
  let stopped = false;
  const stops = order("stop").then((left) => {
    stopped = true;
    return left;
  });
  queue?.close();
  for (let message = queue?.tryTake(); message; message = queue.tryTake())
    mark(QUEUED)(check(message, LINES[QUEUED]).number);
  while (!stopped) {
    await Promise.all(LINES.map((line, index) => takeRest(world, 1, line, index, mark(index))));
    await later(1);
  }
  for (const [index, line] of LINES.entries()) await takeRest(world, 1, line, index, mark(index));
  const left = await stops;
  const sums = { sent: 0, lost: 0 };
  for (const [index, line] of LINES.entries()) {
    for (let i = 0; i < MOST; ++i) {
      const lap = left[index][i];
      sums.sent += lap;
      if (lap <= took[index * MOST + i]) continue;
      ++sums.lost;
      const number = (lap - 1) * MOST + i;
      if (ending === "close") assert.ok(mayGo(line, number), `message ${number} (${line.name}) is gone`);
    }
  }
  return sums;
}

/** A thread that has no time to wait for the body it copies takes that along; what is short is copied before anybody knows of it. */
function mayGo(line, number) {
  return line.synchronous || line.sizes[number % line.sizes.length] > 1024;
}

/** The main thread has a notifier from the first queue of another thread on. It is there when a queue has been fed by it. */
async function startNotifier(alone) {
  const worker = new Worker(new URL("./host-thread.mjs", import.meta.url), { workerData: "queue" });
  await new Promise((resolve) => worker.once("exit", resolve));
  const small = alone.queue({ byteCapacity: 4096 });
  for (let i = 0; i < 20; ++i) await alone.send(bytes(1000), { dest: 0 });
  for (let i = 0; i < 20; ++i) await small.takeAsync();
  small.close();
}

async function host() {
  const bare = await baseline(startNotifier);
  world = await World.join();
  if (PARKING) queue = world.queue({ source: 1, tag: QUEUED });
  await play(first, first + WARM);
  await later(50);
  globalThis.gc();
  const before = holdings();
  const sizes = () => Promise.all([memoryInUse(addon), order("measure")]);
  const small = await sizes();
  await play(first + WARM, first + moments);
  await nothingLeft(before, true);
  const large = await sizes();
  say({ grown: large.map((bytes, of) => bytes - small[of]) });
  const { sent, lost } = await account();
  await nothingOutstanding(world);
  const { unexpectedNow, requests } = world.stats();
  assert.deepEqual({ unexpectedNow, requests }, { unexpectedNow: 0, requests: 0 });
  await world.send("end", { dest: 1, tag: CONTROL });
  await rejects(world.recv({ source: 1, tag: CONTROL }), "ERR_CARILLON_PEER_CLOSED");
  say({ leaves: clock(), sent, lost });
  await world.close();
  await nothingLeft(bare);
}

if (rank === 0) await host();
else await accompany();
