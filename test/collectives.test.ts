// Collectives: each against a plain computation of the same on worlds of many sizes, many at once, and what becomes of them
// when a member does something else, fails, leaves or dies.
import { describe, expect, test, vi } from "vitest";
import { plays, ranks, shares } from "./support/ranks.js";
import { thorough } from "./support/thorough.js";

const PROGRAM = "collectives.mjs";

vi.setConfig({ testTimeout: 60_000 });

const computes = (size: number, rounds: number) => shares(size, PROGRAM, ["model", String(size), String(rounds)]);
test.each([
  [1, 12],
  [2, 12],
  [3, 8],
  [5, 4],
  [8, 2],
])("%i ranks compute what one would", computes);
thorough.each([
  [4, 5],
  [7, 2],
])("%i ranks compute what one would", computes);

test.each([3, 4])("nobody of %i ranks leaves a barrier before all have come", (size) =>
  shares(size, PROGRAM, ["barrier"]),
);

test.each([1, 2, 5])("of %i ranks, hundreds in flight do not mix, nor with the user's messages", (size) =>
  shares(size, PROGRAM, ["together"]),
);

describe("members that do not agree", () => {
  test.each([2, 5])("on what to call, of %i, hear of it and may go on", (size) => shares(size, PROGRAM, ["mismatch"]));
  test("because one passed a wrong argument, do not wait for it", () => shares(3, PROGRAM, ["refused"]));
  test("because one aborted, do not wait for it", () => shares(4, PROGRAM, ["signal"]));
});

describe("a member that is gone", () => {
  test.each([
    "barrier",
    "broadcast",
    "gather",
    "scatter",
    "allgather",
    "alltoall",
    "reduce",
    "allreduce",
    "allreduceShort",
  ])("killed in the middle of %s is named to all others, and nobody hangs", async (name) => {
    const job = ranks(4, PROGRAM, ["killed", name]);
    await job.wait(Promise.all(job.all.map((each) => each.hears("ready"))));
    job.at(3).tell("go");
    await job.endedWell(3);
    expect((await job.at(3).ended).signal).toBe("SIGKILL");
  });

  test("because it left", () => plays(4, PROGRAM, "left"));
});

test("closing the world ends what is in flight", async () => {
  await plays(2, PROGRAM, "closed");
});
