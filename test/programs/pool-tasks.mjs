// The tasks of test/programs/pool.mjs: what threads of a pool do. Each thread joins when it imports this.
import { readFileSync } from "node:fs";
import { threadId, workerData } from "node:worker_threads";
import { CarillonError, World } from "carillon";
import { ComputePool } from "carillon/pool";
import { bytes, same } from "./scenario.mjs";

const world = await World.join();
let runs = 0;

/** Waits, as computing would, until so many threads have come here. */
function meet(met, goal) {
  Atomics.add(met, 0, 1);
  Atomics.notify(met, 0);
  for (let seen = Atomics.load(met, 0); seen < goal; seen = Atomics.load(met, 0)) Atomics.wait(met, 0, seen);
}

export default function hello({ n, met, goal }) {
  if (met) meet(met, goal);
  return { n, thread: threadId, run: ++runs, rank: world.rank, size: world.size };
}

export const identity = (task) => task;

export const data = () => workerData;

export function moves(task) {
  return ComputePool.move(task.body ?? task);
}

export async function fails(task) {
  if (task === "range") throw new RangeError("on purpose", { cause: new Error("the cause") });
  if (task === "system") return readFileSync("/nowhere/at/all");
  if (task === "ours") throw new CarillonError("ERR_CARILLON_PEER_LOST", "on purpose", { rank: 99 });
  if (task === "own") {
    // What cannot be cloned stays behind.
    throw Object.assign(new Error("own"), { name: "OwnError", code: 7, note: () => {} });
  }
  throw task.value;
}

/** Sends parcels and takes the answers, one after the other. */
export async function talk({ tag, sizes, dest, done, met, goal }) {
  if (met) meet(met, goal);
  let answers = 0;
  for (const size of sizes) {
    await world.send(bytes(size, tag), { dest, tag });
    same((await world.recv({ source: dest, tag })).value, bytes(size, tag));
    ++answers;
  }
  Atomics.add(done, 0, 1);
  return answers;
}

/** Begins to answer what comes with this tag, and is done: the rest happens while the thread idles. */
export function listen({ tag, met, goal, answered }) {
  meet(met, goal);
  const answer = async () => {
    for (;;) {
      const { value, source } = await world.recv({ tag });
      // To oneself under another tag: this loop would take it.
      await world.send(value, { dest: source, tag: source === world.rank ? tag + 100 : tag });
      Atomics.add(answered, 0, 1);
    }
  };
  answer().catch((error) => {
    if (error.code !== "ERR_CARILLON_PEER_CLOSED") throw error;
  });
  return threadId;
}

/** Computes, without a look at the event loop, from when it has asked for a message until it is told to stop. */
export async function computes({ tag, into, stop, posted }) {
  const received = world.recv({ tag, into });
  Atomics.add(posted, 0, 1);
  while (Atomics.load(stop, 0) === 0);
  return (await received).byteLength;
}

export function forever({ running }) {
  Atomics.add(running, 0, 1);
  for (;;);
}

export async function waits({ running, tag }) {
  const waiting = world.recv({ tag });
  Atomics.add(running, 0, 1);
  await waiting;
}

/** Keeps bodies of every size on their way, there and back. */
export async function transfers({ running, tag, dest }) {
  let counted = false;
  const keep = async (size) => {
    for (;;) {
      await world.send(bytes(size), { dest, tag });
      await world.recv({ source: dest, tag });
      if (!counted) Atomics.add(running, 0, 1);
      counted = true;
    }
  };
  await Promise.all([3000, 100_000, 1_500_000].map(keep));
}
