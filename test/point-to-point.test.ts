// Messages between ranks: bytes and values of every size arrive as they were sent, in order, whatever waits for whom.
import { describe, expect, test } from "vitest";
import { plays } from "./support/ranks.js";

const PROGRAM = "point-to-point.mjs";

describe("between two ranks", () => {
  test("bytes of every size arrive unchanged, into every kind of memory", () => plays(2, PROGRAM, "sizes"));
  test("bytes are sent from shared memory", () => plays(2, PROGRAM, "fromShared"));
  test("values arrive as structuredClone makes them", () => plays(2, PROGRAM, "values"));
  test("any number of views is gathered into one message", () => plays(2, PROGRAM, "gathers"));
  test("a reply goes back under the same tag", () => plays(2, PROGRAM, "reply"));
  test("a tag selects, whatever came first", () => plays(2, PROGRAM, "tags"));
  test.each([1, 2, 3])("nothing overtakes, over random sizes and tags in both directions (seed %i)", (seed) =>
    plays(2, PROGRAM, "order", String(seed)));
  test("synchronous and large sends settle when the receiver has matched them", () => plays(2, PROGRAM, "synchronous"));
  test("100,000 messages that nobody receives yet wait, and arrive in order", () => plays(2, PROGRAM, "unreceived"));
  test("two ranks that flood each other before they receive do not deadlock", () => plays(2, PROGRAM, "flood"));

  test("eager messages beyond the quota become offers", async () => {
    const job = await plays(2, PROGRAM, "quota");
    const said = await job.at(0).hears("offers");
    expect(said.offers).toBeGreaterThan(0);
  });
});

describe("among several ranks", () => {
  test("any source and any tag are the default", () => plays(3, PROGRAM, "any"));
  test("everybody sends to everybody and receives late", () => plays(4, PROGRAM, "allToAll"));
});

describe("to oneself", () => {
  test("messages of every size are buffered, in a world of one", () => plays(1, PROGRAM, "oneself"));
  test("messages of every size are buffered, among others", () => plays(2, PROGRAM, "oneself"));
});
