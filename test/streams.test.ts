// world.messages: order, competition, back-pressure, endings and stops, whether subscribed to, iterated or read; and requests as
// observables. What operators see, in virtual time, is in streams-marbles.test.ts.
import { describe, expect, test } from "vitest";
import { alone, plays, ranks, shares } from "./support/ranks.js";
import { thorough } from "./support/thorough.js";

const PROGRAM = "streams.mjs";
const WAYS = ["iterator", "readable", "subscribe"];
const STOPS = [...WAYS, "take", "return", "throw", "abort", "buffered"];

test("RxJS is loaded by the first stream, not before, and is the user's own", async () => {
  await plays(1, "lazy-rxjs.mjs");
  await plays(1, PROGRAM, "class");
});

describe("every message of every size comes once, whole and in order", () => {
  test.each([...WAYS, "calls", "web"].map((way, i) => [way, i, [1 << 18, 1 << 12][i % 2] as number] as const))(
    "%s (seed %i, ring of %i bytes)",
    (way, seed, capacity) => shares(2, PROGRAM, ["order", way, String(seed), String(capacity)]),
  );
});

test.each(WAYS)("room is told of before a turn ends (%s)", (way) => shares(2, PROGRAM, ["turns", way]));

test("two streams compete, share() shares", () => shares(2, PROGRAM, ["competes"]));

describe("a consumer that is behind holds its sender back", () => {
  test.each(["iterator", "readable"])("%s", (way) => shares(2, PROGRAM, ["slow", way]));
});

describe("what was taken and not delivered when it stops is received, in order", () => {
  test.each(STOPS.map((how, seed) => [how, seed] as const))("%s", (how, seed) =>
    shares(2, PROGRAM, ["stops", how, String(seed)]),
  );

  test("with a ring that holds all", () => shares(2, PROGRAM, ["stops", "iterator", "77", String(1 << 22)]));

  test("it returns to its place in line", () => shares(2, PROGRAM, ["line"]));

  test("messages to oneself", () => shares(1, PROGRAM, ["oneself"]));

  test("long bodies and leases", () => shares(2, PROGRAM, ["large"]));

  test.each(["leaves", "dies"])("after its source %s", async (how) => {
    await ranks(2, PROGRAM, ["after", how]).endedWell(0);
  });

  test("among threads with streams of their own", () => shares(2, PROGRAM, ["threads"]));
});

describe("ends after all that was sent", () => {
  test.each(WAYS.flatMap((way) => ["one", "any"].map((from) => [way, from] as const)))(
    "%s, from %s: sources leave, or die",
    async (way, from) => {
      const size = from === "one" ? 2 : 3;
      await plays(size, PROGRAM, "ends", way, from, "leaves");
      await ranks(size, PROGRAM, ["ends", way, from, "dies"]).endedWell(0);
    },
  );

  test.each(WAYS)("%s, in a part of the world that lives on", async (way) => {
    await plays(3, PROGRAM, "part", way, "leaves");
    await ranks(3, PROGRAM, ["part", way, "dies"]).endedWell(0);
  });

  test("the world is closed", () => plays(2, PROGRAM, "closes"));
});

thorough("what a thread is just receiving when it closes the world is nobody's loss", () =>
  shares(2, PROGRAM, ["copying"]),
);

test("bad arguments are refused", () => shares(1, PROGRAM, ["bad"]));

test.each(WAYS)("a flood leaves the event loop its turns (%s)", (way) => shares(2, PROGRAM, ["flood", way]));

describe.each(WAYS)("a stream keeps the process alive (%s)", (way) => {
  test("until it is stopped", async () => {
    const job = ranks(2, "stream-alive.mjs", ["ref", way]);
    await job.endedWell();
    expect(job.at(1).said).toEqual([{ came: true }]);
  });

  test("unless the world does not", () => alone("stream-alive.mjs", ["unref", way]).endedWell());
});

describe("a request as an observable", () => {
  const REQUESTS = "observables.mjs";

  test("emits its result, or fails", () => shares(1, REQUESTS, ["results"]));

  test.each(["unsubscribe", "takeUntil", "switchMap", "timeout"])("is cancelled by %s", (how) =>
    shares(1, REQUESTS, ["cancels", how]),
  );

  test("says that it was cancelled", () => shares(1, REQUESTS, ["cancelled"]));
});
