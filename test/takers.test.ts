// Standing takers, what streams are made of: order, the law of one taker, back-pressure, and the end.
import { describe, test } from "vitest";
import { plays, ranks, shares } from "./support/ranks.js";

const PROGRAM = "takers.mjs";

test.each([
  [1, 1 << 18],
  [2, 1 << 16],
  [3, 4096],
])("every message of every size comes once, whole and in order (seed %i, ring of %i bytes)", (seed, capacity) =>
  shares(2, PROGRAM, ["all", String(seed), String(capacity)]),
);

test("receives and probes come first, then takers in the order they began", () => shares(2, PROGRAM, ["line"]));

test("a taker that nobody reads holds back its own messages, and no others", () => shares(2, PROGRAM, ["paused"]));

test("what it has not taken when it stops is received, in order", () => shares(2, PROGRAM, ["stops"]));

test("in a part of the world, credit comes back for what is eager and for what is offered", () =>
  shares(2, PROGRAM, ["part"]));

test.each([1, 2])("messages to oneself, %i ranks", (size) => shares(size, PROGRAM, ["oneself"]));

describe("nothing more can come", () => {
  test("its source has left: what it sent comes first", () => plays(2, PROGRAM, "ends", "leaves"));

  test("its source has died", async () => {
    await ranks(2, PROGRAM, ["ends", "dies"]).endedWell(0);
  });

  test("its source has died while it copied a body: what is behind it comes in order", async () => {
    await ranks(2, PROGRAM, ["gone"]).endedWell(0);
  });
});

test("what its callback throws is an uncaught exception, and costs no message", () => plays(2, PROGRAM, "throws"));
