// How a rank leaves and what the others hear of it: what was sent stays receivable, then a clear error; nobody hangs.
import { describe, expect, test } from "vitest";
import { plays, ranks } from "./support/ranks.js";

const PROGRAM = "endings.mjs";

describe("close", () => {
  test("waits until what was sent has been taken", () => plays(2, PROGRAM, "flush"));
  test("without patience rejects what is outstanding, and everything afterwards", () => plays(2, PROGRAM, "closeNow"));
  test("does not wait for messages that nobody received", () => plays(2, PROGRAM, "unreceived"));
  test("settles what had completed unseen", () => plays(2, PROGRAM, "unseen"));
  test("of one rank after the other", () => plays(4, PROGRAM, "oneByOne"));
});

describe("what a rank sent is received before the others hear that it", () => {
  test.each([
    ["ended by process.exit(0)", "exit 0", 0, null],
    ["ended by process.exit(1)", "exit 1", 1, null],
    ["threw an uncaught error", "throw", 1, null],
    ["had an unhandled rejection", "reject", 1, null],
    ["was killed", "kill", null, "SIGKILL"],
    ["was terminated", "terminate", null, "SIGTERM"],
  ])("%s", async (_what, how, code, signal) => {
    const job = ranks(3, PROGRAM, ["ends", how]);
    await job.wait(Promise.all([job.at(0).hears("sent"), job.at(1).hears("ready"), job.at(2).hears("ready")]));
    if (how === "kill") job.at(0).kill();
    else if (how === "terminate") job.at(0).kill("SIGTERM");
    else job.at(0).tell("now");
    const ended = await job.wait(job.at(0).ended);
    expect({ code: ended.code, signal: ended.signal }).toEqual({ code, signal });
    job.at(1).tell("go");
    await job.endedWell(0);
  });
});
