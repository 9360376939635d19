// What kills or stops a rank in the middle of a transfer, and who is harmed: exactly the requests that needed it.
import { setTimeout as later } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { ranks } from "./support/ranks.js";

const PROGRAM = "faults.mjs";

/** Eight victims, killed one by one at moments that nobody chose. */
async function killAll(sends: number, receives: number): Promise<void> {
  const size = 10;
  const job = ranks(size, PROGRAM, ["killed", String(sends), String(receives)]);
  await job.wait(Promise.all(job.all.map((each) => each.hears("started"))));
  const victims = Array.from({ length: size - 2 }, (_, i) => i + 1);
  for (const victim of victims) {
    await later(Math.random() * 25);
    job.at(victim).kill();
  }
  await job.endedWell(...victims);
}

describe("kill -9 in mid-transfer ends what needed the dead rank with ERR_CARILLON_PEER_LOST, and nothing else", () => {
  test("of a rank that sends", () => killAll(0, 1));
  test("of a rank that receives", () => killAll(1, 0));
  test("of a rank that does both, on several tags", () => killAll(2, 2));
  test("once more", () => killAll(2, 2));
});

test("a stopped rank is only slow", async () => {
  const job = ranks(2, PROGRAM, ["stopped"]);
  await job.wait(Promise.all(job.all.map((each) => each.hears("running"))));
  job.at(1).kill("SIGSTOP");
  await later(100);
  expect(job.at(0).describe()).toContain("still runs");
  job.at(1).kill("SIGCONT");
  job.at(1).tell("go on");
  await job.endedWell();
});
