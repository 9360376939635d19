// The threads of a rank: each has a handle, all share the rank, and none of them can harm the others by ending.
import { describe, expect, test } from "vitest";
import { plays, ranks } from "./support/ranks.js";
import { thorough } from "./support/thorough.js";

const PROGRAM = "threads.mjs";
/**
 * Node.js 20 forgets a thread that is terminated before its optimizing compiler has stopped, and aborts if that allocates just then (NodePlatform::
 * ForIsolate). So where many are terminated, code is optimized on the thread itself.
 */
const TERMINATES = { execArgv: ["--no-concurrent-recompilation"] };

test("workers talk to the main thread and to other ranks", () => plays(2, PROGRAM, "talk"));
test("receives of several threads stand in one line", () => plays(1, PROGRAM, "line"));
test("eight workers of two processes exchange at once", () => plays(2, PROGRAM, "exchange", "15"));
thorough("eight workers of one process exchange at once", () => plays(1, PROGRAM, "exchange", "15"));

test("sixteen at once: each message comes once, four are terminated, the rank leaves with the last of the others", () =>
  ranks(2, PROGRAM, ["sixteen"], TERMINATES).endedWell());

describe("a handle", () => {
  test("is one per thread, and a world of one can be joined again", () => plays(1, PROGRAM, "joins"));
  test("of a launched world cannot be had again", () => plays(2, PROGRAM, "rejoin"));
  test("is counted: the rank leaves with its last thread", () => plays(2, PROGRAM, "counted"));
});

describe("a worker", () => {
  test("may end by itself, exit or fail", () => plays(1, PROGRAM, "ends"));
  test("may be terminated while it loads the addon", () => plays(1, PROGRAM, "loading", "8"));
  test("may be terminated in mid-transfer: 16 of them, at random moments", { timeout: 300_000 }, () =>
    ranks(2, PROGRAM, ["terminate", "4"], { ...TERMINATES, patience: 300_000 }).endedWell(),
  );
});

test.each([
  [0, true, "ERR_CARILLON_PEER_CLOSED"],
  [0, false, "ERR_CARILLON_PEER_CLOSED"],
  [1, true, "ERR_CARILLON_PEER_LOST"],
  [1, false, "ERR_CARILLON_PEER_LOST"],
])(
  "process.exit(%i) while a worker waits, main thread joined: %s, is %s to the others",
  async (code, joins, expected) => {
    const job = ranks(2, PROGRAM, ["exit", String(code), String(joins)]);
    await job.wait(job.at(0).hears("sent"));
    job.at(0).tell("go");
    await job.endedWell(0);
    expect((await job.at(0).ended).code).toBe(code);
    expect(await job.at(1).hears("error")).toEqual({ error: expected, of: 0 });
  },
);
