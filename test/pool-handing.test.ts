// Leases and messages as inputs and results of a pool's tasks: handed over whole, or not at all, and nothing is left.
import { describe, test } from "vitest";
import { ranks, shares } from "./support/ranks.js";
import { thorough } from "./support/thorough.js";

const PROGRAM = "pool-handing.mjs";
const GC = { execArgv: ["--expose-gc"] };

describe("a lease in a task", () => {
  test("is there and back over the same memory", () => shares(1, PROGRAM, ["there and back"]));
  test("stays itself however often", () => ranks(1, PROGRAM, ["many times", "40"], GC).endedWell());
  test("stays with the caller when the task is refused", () => shares(1, PROGRAM, ["refused"]));
  test("is found in plain objects and arrays", () => shares(1, PROGRAM, ["bounds"]));
  test("can be sent from there, and what is received be handed on", () => shares(2, PROGRAM, ["onwards"]));
});

test("a message in a task is decoded there", () => shares(2, PROGRAM, ["messages"]));

describe("nothing is left", () => {
  thorough("of tasks that no thread took", () => ranks(1, PROGRAM, ["never taken"], GC).endedWell());
  test("of threads that end", () => ranks(1, PROGRAM, ["ends of threads"], GC).endedWell());
  thorough("of pools whose thread ends", () => ranks(1, PROGRAM, ["ends of pools"], GC).endedWell());
});
