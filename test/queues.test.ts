// Message queues: native code fills them, any threads empty them with nothing but Atomics; each message once, in order; back-pressure,
// ends, and threads that are terminated.
import { describe, expect, test } from "vitest";
import { plays, ranks } from "./support/ranks.js";

const PROGRAM = "queues.mjs";

describe("every message of every size comes once, whole and in order", () => {
  test.each([
    ["one consumer that blocks", 1, 1 << 18, 3000, ["take"]],
    ["four of all kinds", 2, 1 << 16, 3000, ["take", "takeAsync", "iterate", "patient"]],
    ["a ring that is full most of the time", 3, 4096, 1500, ["take", "tryTake"]],
    ["bodies that are pulled", 4, 1 << 22, 300, ["take", "take"]],
  ])("%s", (_, seed, capacity, count, ways) =>
    plays(2, PROGRAM, "all", String(seed), String(capacity), String(count), ...ways),
  );
});

test("the thread that made the queue computes all the time", () => plays(2, PROGRAM, "busy"));

test("consumers that are terminated in the middle cost the others nothing", () => plays(2, PROGRAM, "terminated"));

test("consumers that are parked can be terminated; another gets what comes", () => plays(2, PROGRAM, "parked"));

test("what can never fit is an error for who takes, and stays in line", () => plays(2, PROGRAM, "unfit"));
test("... behind what came before it, also for who looks just then", () => plays(2, PROGRAM, "unfitLater", "300"));

test("what a thread took that was terminated before it said so makes room, too", () =>
  plays(2, PROGRAM, "takenUnsaid"));

describe("a parked consumer hears of the end", () => {
  test.each([
    ["it is closed", "closed"],
    ["its source leaves", "leaves"],
    ["the world is closed", "world"],
    ["the thread that made it is terminated", "thread"],
  ])("%s", (_, how) => plays(2, PROGRAM, "ends", how));

  test("its source dies", async () => {
    await ranks(2, PROGRAM, ["ends", "dies"]).endedWell(1);
  });
});

test("nobody takes: senders wait, other tags do not", () => plays(2, PROGRAM, "full"));

test.each([1, 2])("messages to oneself, %i ranks", (size) => plays(size, PROGRAM, "oneself"));

test("receives come first; a part of the world has ranks of its own", () => plays(2, PROGRAM, "line"));

test("a wait that is aborted, and bad input", () => plays(1, PROGRAM, "aborted"));

test("an open queue keeps the process alive, unless the world does not", async () => {
  await plays(1, PROGRAM, "alive", "referenced");
  const job = ranks(1, PROGRAM, ["alive", "unreferenced"]);
  expect((await job.ended())[0]?.code).toBe(13); // nothing keeps it: its top-level await never settles
});
