// A rank of a world in which all but rank 0 end, one at each moment, by process.exit, an uncaught error or world.close, while they talk to
// rank 0 by many protocols. Rank 0 talks to two of them at a time, and says what it had of each when it heard of its end.
//   rank.mjs ENDING SEED FIRST: rank r ends at moment FIRST + r - 1.
import assert from "node:assert/strict";
import { once } from "node:events";
import { writeSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { World } from "carillon";
import { rejects, say } from "../programs/scenario.mjs";
import { baseline, nothingLeft } from "./holdings.mjs";
import { clock } from "./jobs.mjs";
import { emptyCounts, endsWith, LINES, QUEUED, talk } from "./lines.mjs";
import { at, generator, momentOf } from "./moments.mjs";

const [ending, seed, first] = process.argv.slice(2);
const rank = Number(process.env.CARILLON_RANK);

/** The tag of the survivor's word that it is somebody's turn; those of the lines of a victim's thread are behind the others. */
const BEGIN = 90;
const OF_THREAD = 50;

/** What happens at a victim's moment: the same in both processes. */
function planOf(victim) {
  const moment = momentOf(seed, ending, Number(first) + victim - 1);
  const { next } = moment;
  const some = () => LINES.map((_, index) => index).filter((index) => next() < (LINES[index].dear ? 0.1 : 0.4));
  const plan = { moment, out: some(), back: some(), talks: next() < 0.1, parks: next() < 0.1 };
  if (ending === "leave") plan.talks = false;
  if (plan.parks && !plan.back.includes(QUEUED)) plan.back.push(QUEUED);
  plan.code = ending === "exit" ? (next() < 0.5 ? 0 : 3) : ending === "throw" ? 1 : 0;
  plan.throws = ["tick", "immediate", "microtask", "rejection"][Math.floor(next() * 4)];
  plan.timeout = [0, 0, 5, 30][Math.floor(next() * 4)];
  plan.reason = plan.code === 0 ? "ERR_CARILLON_PEER_CLOSED" : "ERR_CARILLON_PEER_LOST";
  return plan;
}

/** How this rank waits, is rung and hands over bodies. */
function settings() {
  const next = generator(seed, "settings", first, rank);
  return {
    doorbell: next() < 0.7 ? "auto" : "signal",
    rendezvous: next() < 0.7 ? "auto" : "ring",
    wait: next() < 0.7 ? "adaptive" : "block",
  };
}

async function survive() {
  const before = await baseline();
  const world = await World.join(settings());
  const anybody = world.recv({ tag: BEGIN });
  anybody.catch(() => {});
  const next = generator(seed, "survivor", first);
  const moves = () => {};
  let waiting = world.size - 1;
  const meet = async (victim) => {
    const plan = planOf(victim);
    const counts = emptyCounts();
    --waiting;
    await world.send(0, { dest: victim, tag: BEGIN });
    const lines = talk(world, victim, { outgoing: plan.back, incoming: plan.out, base: 0, next, moves, counts });
    if (plan.talks) {
      const more = { outgoing: plan.back, incoming: plan.out, base: OF_THREAD, next, moves, counts };
      lines.push(...talk(world, victim, more));
    }
    await Promise.all(lines.map(({ line, what, promise }) => endsWith(plan.reason, victim, line, what, promise)));
    const heard = clock();
    for (const line of lines) await line.takeRest?.();
    for (const request of [world.send(1, { dest: victim }), world.recv({ source: victim, tag: BEGIN })]) {
      assert.equal((await rejects(request, plan.reason)).rank, victim);
    }
    if (waiting > 0) assert.equal(anybody.state, "pending", "a receive that others can answer ended");
    say({ survived: victim, heard, counts });
  };
  const victims = Array.from({ length: world.size - 1 }, (_, i) => i + 1);
  const inTurn = async (some) => {
    for (const victim of some) await meet(victim);
  };
  await Promise.all([0, 1].map((lane) => inTurn(victims.filter((victim) => victim % 2 === lane))));
  const reason = await anybody.catch((error) => error);
  assert.match(String(reason.code), /^ERR_CARILLON_PEER_(CLOSED|LOST)$/);
  say({ leaves: clock() });
  if (next() < 0.5) return; // by itself
  await world.close();
  await nothingLeft(before);
}

async function end() {
  const plan = planOf(rank);
  const counts = emptyCounts();
  const world = await World.join(settings());
  const said = { ends: undefined, code: plan.code, counts };
  process.on("exit", () => {
    writeSync(1, `${JSON.stringify(said)}\n`);
  });
  const ends = () => {
    said.ends = clock();
    ways[ending]();
  };
  const wrong = new Error("on purpose");
  const ways = {
    exit: () => process.exit(plan.code),
    throw() {
      const fail = () => {
        throw wrong;
      };
      if (plan.throws === "tick") process.nextTick(fail);
      else if (plan.throws === "immediate") setImmediate(fail);
      else if (plan.throws === "microtask") queueMicrotask(fail);
      else void Promise.reject(wrong);
    },
    async leave() {
      await world.close({ timeout: plan.timeout });
      said.closed = clock() - said.ends - plan.timeout;
      await Promise.all(
        lines.map(({ line, what, promise }) => endsWith("ERR_CARILLON_CLOSED", undefined, line, what, promise)),
      );
      said.ends = clock();
    },
  };
  const thread = plan.talks || plan.parks ? await begin() : undefined;
  await world.recv({ source: 0, tag: BEGIN });
  const next = generator(seed, "victim", first, rank);
  const incoming = plan.parks ? plan.back.filter((index) => index !== QUEUED) : plan.back;
  if (plan.parks) thread.postMessage({ parks: world.queue({ source: 0, tag: QUEUED }).buffer });
  if (plan.talks) thread.postMessage({ talks: { outgoing: plan.out, incoming: plan.back, base: OF_THREAD, seed } });
  const moves = at(plan.moment, ends);
  const lines = talk(world, 0, { outgoing: plan.out, incoming, base: 0, next, moves, counts });
  for (const { promise } of lines) {
    promise.catch((error) => {
      if (said.ends === undefined) throw error; // before its time
    });
  }
}

/** A thread that waits for what to do. */
async function begin() {
  const thread = new Worker(new URL("./thread.mjs", import.meta.url));
  await once(thread, "message");
  return thread;
}

if (rank === 0) await survive();
else await end();
