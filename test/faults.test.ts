// What kills or stops a rank in the middle of a transfer, and who is harmed: exactly the requests that needed it.
// Many more kills, of ranks without Node, are in test/native/kill; `npm run soak` runs both for long.
import { setTimeout as later } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { type Ranks, ranks } from "./support/ranks.js";
import { thorough } from "./support/thorough.js";

const PROGRAM = "faults.mjs";
const VICTIMS = 10;
/** Many processes on a machine that may be busy: only ends what hangs. */
const PATIENCE = 300_000;
/** `npm run soak` asks for more. */
const JOBS = Number(process.env.CARILLON_KILL_JOBS ?? 1);

/** Victims killed one by one at moments that nobody chose, while they do this with rank 0. */
async function killAll(what: "sends" | "receives" | "both"): Promise<void> {
  const job = ranks(VICTIMS + 2, PROGRAM, ["killed", what], { patience: PATIENCE });
  await job.wait(Promise.all(job.all.map((each) => each.hears("started"))));
  const victims = Array.from({ length: VICTIMS }, (_, i) => i + 1);
  for (const victim of victims) {
    await later(Math.random() * 25);
    job.at(victim).kill();
  }
  await job.endedWell(...victims);
  await job.end();
}

describe("kill -9 in mid-transfer ends what needed the dead rank with PEER_LOST, and nothing else", {
  timeout: PATIENCE,
}, () => {
  for (let i = 1; i <= JOBS; ++i) {
    thorough(`of ranks that send by every protocol (${i})`, () => killAll("sends"));
    thorough(`of ranks that receive by every protocol (${i})`, () => killAll("receives"));
    thorough(`of ranks that do both (${i})`, () => killAll("both"));
  }
});

/** The next exchange that these two have not finished yet, finished. */
async function goesOn(job: Ranks, one: number, other: number): Promise<void> {
  const done = job.at(one).said.filter((each) => Object.keys(each)[0]?.startsWith(`${other}:`)).length;
  // The one before may have been on its way to us: two more.
  await job.wait(job.at(one).hears(`${other}: ${done + 1}`));
}

test("a rank stopped in mid-transfer is only slow, 50 times, and the others go on without it", {
  timeout: PATIENCE,
}, async () => {
  const job = ranks(3, PROGRAM, ["stopped"], { patience: PATIENCE });
  await goesOn(job, 0, 1);
  for (let i = 0; i < 50; ++i) {
    const slow = i % 3;
    await later(Math.random() * 10);
    job.at(slow).kill("SIGSTOP");
    await goesOn(job, (slow + 1) % 3, (slow + 2) % 3);
    job.at(slow).kill("SIGCONT");
  }
  for (const each of job.all) {
    expect(each.said.length).toBeGreaterThan(20);
    each.tell("end");
  }
  await job.endedWell();
});
