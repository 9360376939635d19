// A thread of rank 0 that ends (host.mjs): a worker by itself, or one that closes and joins again, or of a pool.
import assert from "node:assert/strict";
import { parentPort, workerData } from "node:worker_threads";
import { MessageQueue, World } from "carillon";
import { clock } from "./jobs.mjs";
import { check, endsWith, LINES, QUEUED, receiving, sending } from "./lines.mjs";
import { at, compute, generator } from "./moments.mjs";

/** A message that rank 1 sent is taken once, by whomever. */
function taker({ took, counts, slot, lines }, index, moves) {
  return (number) => {
    const lap = 1 + Math.floor(number / lines.most);
    const before = Atomics.exchange(took, index * lines.most + (number % lines.most), lap);
    assert.ok(before < lap, `message ${number} (${LINES[index].name}) came twice`);
    Atomics.add(counts, slot, 1);
    moves();
  };
}

function talk(world, role, moves = () => {}) {
  const next = generator(role.seed, "thread", role.number);
  const left = () => {
    Atomics.add(role.counts, role.slot, 1);
    moves();
  };
  const sent = () => {};
  return [
    ...role.outgoing.map((index) => ({
      line: LINES[index],
      what: "sends",
      promise: sending(world, 1, LINES[index], role.lines.back + index, { sender: role.number, next, sent, left }),
    })),
    ...role.incoming.map((index) => ({
      line: LINES[index],
      what: "receives",
      promise: receiving(world, 1, LINES[index], index, { next, took: taker(role, index, moves) }),
    })),
  ];
}

/** Takes what the main thread's queue has, and stands still meanwhile. */
function park(role) {
  const queue = MessageQueue.from(role.parks);
  const took = taker(role, QUEUED, () => {});
  for (let message = queue.take(); message; message = queue.take()) took(check(message, LINES[QUEUED]).number);
}

/** Until it is ended, by whomever. */
async function live(role) {
  if (role.parks) {
    parentPort.postMessage("parks");
    return park(role);
  }
  const world = await World.join();
  parentPort.postMessage("joined");
  const ends = {
    exit: () => process.exit(5),
    throw: () =>
      process.nextTick(() => {
        throw new Error("on purpose");
      }),
  };
  const moves = role.ends
    ? at(role.ends.moment, () => {
        parentPort.postMessage(clock());
        ends[role.ends.how]();
      })
    : undefined;
  const lines = talk(world, role, moves);
  if (role.computes) setImmediate(compute, 1e12);
  await Promise.all(lines.map(({ promise }) => promise));
}

/** Joins, talks, closes at the moment; how many ms that took, beyond what it may wait for its sends. */
async function close(role) {
  const { moment, timeout } = role.closes;
  const world = await World.join();
  let lines;
  const closed = new Promise((resolve, reject) => {
    const moves = at(moment, () => {
      const began = clock();
      world.close({ timeout }).then(() => resolve(clock() - began - timeout), reject);
    });
    lines = talk(world, role, moves);
    for (const { promise } of lines) promise.catch(() => {}); // looked at afterwards
  });
  const took = await closed;
  await Promise.all(
    lines.map(({ line, what, promise }) => endsWith("ERR_CARILLON_CLOSED", undefined, line, what, promise)),
  );
  return took;
}

/** Pools run this. */
export default live;

if (workerData === "queue") {
  const world = await World.join();
  world.queue().close();
  await world.close();
} else if (workerData?.slot !== undefined) await live(workerData);
else if (!Array.isArray(workerData)) {
  parentPort.on("message", async (role) => {
    if (role === "end") parentPort.close();
    else parentPort.postMessage(await close(role));
  });
  parentPort.postMessage("ready");
}
