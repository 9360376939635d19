// When a process ends by itself: outstanding requests keep it alive, unless told otherwise; nothing else of ours does.
import { describe, expect, test } from "vitest";
import { plays, ranks } from "./support/ranks.js";

const PROGRAM = "keep-alive.mjs";

describe("a process ends by itself, with code 0 and without close,", () => {
  test.each(["nothing", "usedAndDone"])("when nothing is outstanding (%s)", async (scenario) => {
    await plays(1, PROGRAM, scenario);
    await plays(2, PROGRAM, scenario);
  });
  test.each([
    ["what is outstanding", "unrefRequest"],
    ["the whole world", "unrefWorld"],
  ])("when %s is unreferenced", async (_what, scenario) => {
    await plays(1, PROGRAM, scenario);
    const job = ranks(2, PROGRAM, [scenario]);
    await job.wait(job.at(0).ended);
    job.at(1).tell("go");
    await job.endedWell();
  });
  test("when 2,000 requests have settled", () => plays(1, PROGRAM, "many"));
  test("when 2,000 requests were cancelled", () => plays(1, PROGRAM, "cancelled"));
  test("when 2,000 requests were rejected by close", () => plays(2, PROGRAM, "closed"));
});

test.each([
  ["a receive", "pending", "value"],
  ["a send that nobody has taken", "pendingSend", "taken"],
  ["what was unreferenced and referenced again", "refAgain", "got"],
])("%s keeps the process alive until it settles", async (_what, scenario, last) => {
  const job = ranks(2, PROGRAM, [scenario]);
  await job.wait(job.at(0).hears("waiting"));
  expect(job.at(0).said.some((each) => "exit" in each)).toBe(false);
  job.at(1).tell("go");
  await job.endedWell();
  // It settled before the process ended.
  expect(job.at(0).said.map((each) => Object.keys(each)[0])).toEqual(["waiting", last, "exit"]);
});

test("what is unreferenced completes all the same", () => plays(2, PROGRAM, "unrefCompletes"));
