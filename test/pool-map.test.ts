// `pool.map`: a task for each input of a stream. How much is taken, in which order results come, and how it ends.
import { describe, test } from "vitest";
import { shares } from "./support/ranks.js";

const PROGRAM = "pool-map.mjs";

describe("a pool's map", () => {
  test("takes anything that can be iterated or subscribed to", () => shares(1, PROGRAM, ["sources"]));
  test("gives results in order, or as they come", () => shares(1, PROGRAM, ["order"]));
  test("has no more in hand than was asked for", () => shares(1, PROGRAM, ["bound"]));
  test("fails as a task or its source does", () => shares(1, PROGRAM, ["fails"]));
  test("lets tasks finish and begins none when it is stopped", () => shares(1, PROGRAM, ["stops"]));
  test("ends tasks when it is aborted", () => shares(1, PROGRAM, ["aborts"]));
});

describe("a pool's map of messages", () => {
  test("holds their senders back, and gives back what it has not taken", () => shares(2, PROGRAM, ["back-pressure"]));
  test("leaves a queue what it has not taken", () => shares(2, PROGRAM, ["queue"]));
  test("has them decoded, and answered, by its threads", () => shares(2, PROGRAM, ["messages"]));
});
