// Parts of the world: who is in them, under which rank, and that their messages stay among them; and sendrecv.
import { describe, test, vi } from "vitest";
import { plays, shares } from "./support/ranks.js";

const PROGRAM = "communicators.mjs";

vi.setConfig({ testTimeout: 60_000 });

test.each([1, 3])("a duplicate of %i ranks has messages of its own", (size) => shares(size, PROGRAM, ["dup"]));
test.each([1, 2, 5])("parts of %i ranks are ordered by key, and may be split again", (size) =>
  shares(size, PROGRAM, ["split"]),
);
test.each([1, 2, 3])("groups that overlap make communicators at the same time (%i)", (seed) =>
  shares(4, PROGRAM, ["apart", String(seed)]),
);
test.each([1, 2])("what is freed or closed is of no more use, of %i", (size) => plays(size, PROGRAM, "free"));
test("a receive from anybody in a part ends with its other members", () => plays(4, PROGRAM, "anybody"));
test.each([1, 2])("the world's collectives belong to one thread, of %i", (size) => plays(size, PROGRAM, "threads"));

describe("sendrecv", () => {
  test.each([1, 2, 3])("exchanges among %i at any size", (size) => shares(size, PROGRAM, ["sendrecv"]));
});
