// A rank of the storm (test/storm/main.mjs): messages of every protocol among all ranks, in rounds, while JavaScript computes, threads come
// and go, and the signal doorbell's handler is fired all the time. What arrives is compared byte by byte with what was sent.
//   rank.mjs RUNS SECONDS ADDON: until the handlers of all ranks have run so often, or until then.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { World } from "carillon";
import { bytes, random, same } from "../programs/scenario.mjs";
import { compute } from "./workload.mjs";

const [runs, seconds, addon] = process.argv.slice(2);
const storm = createRequire(import.meta.url)(addon);
const rendezvous = process.env.CARILLON_RANK === "1" ? "ring" : "auto";
const world = await World.join({ doorbell: "signal", rendezvous });
const { rank, size } = world;
const others = Array.from({ length: size }, (_, i) => i).filter((i) => i !== rank);

/** How a message is taken, by its tag; within one, in order. */
const RECEIVED = 1;
const TAKEN = 2;
const PROBED = 3;
const INTO = 4;
const FROM_THREAD = 5;
const NEVER = 98;

/** What `source` sends to `dest` in a round: the same in both. */
function plan(round, source, dest) {
  const next = random(round * 64 + source * 8 + dest + 1);
  return Array.from({ length: 24 }, (_, i) => {
    const kind = next();
    const most = kind < 0.5 ? 64 : kind < 0.8 ? 16_000 : kind < 0.97 ? 200_000 : 3_000_000;
    const length = 1 + Math.floor(next() * most);
    const how = ["plain", "plain", "synchronous", "lease", "shared", "gathered"][Math.floor(next() * 6)];
    return { tag: 1 + Math.floor(next() * 4), how, length, seed: round * 100 + i };
  });
}

let checked = 0;
let checkedBytes = 0;
function check(found, { length, seed }) {
  same(found, bytes(length, seed));
  ++checked;
  checkedBytes += length;
}

async function send({ tag, how, length, seed }, dest) {
  const body = bytes(length, seed);
  if (how === "lease") {
    const lease = world.allocate(length);
    lease.data.set(body);
    return world.send(lease, { dest, tag });
  }
  if (how === "shared") {
    const shared = new Uint8Array(new SharedArrayBuffer(length));
    shared.set(body);
    return world.send(shared, { dest, tag });
  }
  if (how === "gathered") return world.send([body.subarray(0, length >> 1), body.subarray(length >> 1)], { dest, tag });
  return world.send(body, { dest, tag, synchronous: how === "synchronous" });
}

/** The bytes of a message, however it was sent. */
function contents(message, { how, length, seed }) {
  if (how !== "gathered") return check(message.data, { length, seed });
  const views = message.value;
  check(Buffer.concat(views), { length, seed });
}

/** The taker of all rounds. */
const taken = [];
let arrived = () => {};
const taker = world.take({
  tag: TAKEN,
  deliver(message) {
    taken.push(message);
    arrived();
  },
  ended() {},
});
async function take(expected) {
  let left = [...expected.values()].reduce((sum, each) => sum + each.length, 0);
  while (left > 0) {
    if (taken.length === 0) {
      await new Promise((resolve) => {
        arrived = resolve;
      });
    }
    for (const message of taken.splice(0)) {
      contents(message, expected.get(message.source).shift());
      --left;
    }
  }
}

async function probe(expected, source) {
  for (const each of expected) {
    let offer = await world.mprobe({ source, tag: PROBED });
    if (each.seed % 3 === 0) {
      offer.giveBack();
      offer = await world.mprobe({ source, tag: PROBED });
    }
    contents(await offer.recv(), each);
  }
}

async function receiveInto(expected, source) {
  for (const each of expected) {
    if (each.how === "gathered") {
      contents(await world.recv({ source, tag: INTO }), each);
      continue;
    }
    const into = new Uint8Array(each.seed % 2 ? new SharedArrayBuffer(each.length) : new ArrayBuffer(each.length));
    await world.recv({ source, tag: INTO, into });
    check(into, each);
  }
}

async function cancelled(dest) {
  const receive = world.recv({ source: dest, tag: NEVER });
  const sent = world.send(bytes(40_000), { dest, tag: NEVER, synchronous: true });
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(receive.cancel() || (await receive), "a receive");
  sent.cancel();
  await Promise.allSettled([receive, sent]);
}

/** A thread that joins, answers and leaves, and one that is ended while it computes. */
async function threads(round) {
  const file = fileURLToPath(new URL("./thread.mjs", import.meta.url));
  const talking = new Worker(file, { workerData: { round, addon } });
  const doomed = new Worker(file, { workerData: { round: -1, addon } });
  await Promise.all([
    new Promise((resolve, reject) => {
      doomed.once("message", () => doomed.terminate().then(resolve, reject));
      doomed.once("error", reject);
    }),
    new Promise((resolve, reject) => {
      talking.once("error", reject);
      talking.once("exit", (code) => (code === 0 ? resolve() : reject(new Error(`the thread ends with ${code}`))));
    }),
  ]);
}

async function play(round) {
  const expected = new Map(others.map((source) => [source, plan(round, source, rank)]));
  const of = (source, tag) => expected.get(source).filter((each) => each.tag === tag);
  const pending = [take(new Map(others.map((source) => [source, of(source, TAKEN)])))];
  for (const source of others) {
    pending.push(probe(of(source, PROBED), source), receiveInto(of(source, INTO), source));
    for (const each of of(source, RECEIVED)) {
      pending.push(world.recv({ source, tag: RECEIVED }).then((message) => contents(message, each)));
    }
    for (const each of plan(round, rank, source)) pending.push(send(each, source));
  }
  const own = { length: 1 + ((round * 7919) % 30_000), seed: round };
  pending.push(world.recv({ source: rank, tag: RECEIVED }).then((message) => check(message.data, own)));
  pending.push(send({ tag: RECEIVED, how: "plain", ...own }, rank));
  pending.push(cancelled(others[round % others.length]));
  if (round % 8 === rank) {
    pending.push(threads(round));
    for (let i = 0; i < 4; ++i) {
      const each = { length: 1 + i * 20_000, seed: round + i };
      pending.push(world.recv({ source: rank, tag: FROM_THREAD }).then((message) => check(message.data, each)));
    }
  }
  const all = Promise.all(pending);
  let over = false;
  const ends = () => {
    over = true;
  };
  all.then(ends, ends);
  for (let turn = 0; !over; ++turn) {
    compute(round * 16 + turn);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await all;
}

// Windows of a few milliseconds in which the handler runs after every instruction, then as long without.
storm.start(20_000_000, 400, 1);
const begun = performance.now();
let round = 0;
for (let together = 0; together < Number(runs); ++round) {
  await play(round);
  const spent = (performance.now() - begun) / 1000;
  const { handlerRuns } = world.stats();
  together = await world.allreduce(spent > Number(seconds) ? Number(runs) : handlerRuns, { op: "sum" });
}
storm.stop();
taker.stop();
const { handlerRuns, handled, interrupts } = world.stats();
const said = {
  rank,
  rounds: round,
  checked,
  checkedBytes,
  handlerRuns,
  handled,
  guardHeld: handlerRuns - handled,
  interrupts,
};
process.stdout.write(`${JSON.stringify(said)}\n`);
await world.barrier();
await world.close();
