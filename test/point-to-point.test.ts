// Messages between ranks: bytes and values of every size arrive as they were sent.
import { describe, expect, test } from "vitest";
import { plays, ranks, shares } from "./support/ranks.js";

const PROGRAM = "point-to-point.mjs";

describe("between ranks", () => {
  test("bytes of every size arrive unchanged, into every kind of memory", () => shares(2, PROGRAM, ["sizes"]));
  test("short typed arrays of every kind are the receiver's, whatever their sender does next", async () => {
    await shares(2, PROGRAM, ["short"]);
    await shares(1, PROGRAM, ["short"]);
  });
  test("bytes are sent from shared memory", () => shares(2, PROGRAM, ["fromShared"]));
  test("values arrive as structuredClone makes them", () => shares(2, PROGRAM, ["values"]));
  test("any number of views is gathered into one message", () => shares(2, PROGRAM, ["gathers"]));
  test("a reply goes back under the same tag", () => shares(2, PROGRAM, ["reply"]));
  test("a tag selects, whatever came first", () => shares(2, PROGRAM, ["tags"]));
  test("any source and any tag are the default", () => plays(3, PROGRAM, "any"));
  test("synchronous and large sends settle when the receiver has matched them", () =>
    shares(2, PROGRAM, ["synchronous"]));
});

describe("between ranks that may not read each other's memory", () => {
  test.each(["sizes", "fromShared", "values", "gathers", "synchronous"])("%s, through the ring", (scenario) =>
    shares(2, PROGRAM, [scenario], { env: { CARILLON_RENDEZVOUS: "ring" } }),
  );
  test("and the bodies do go in packets", async () => {
    const job = ranks(2, "flow.mjs", ["pushed"], { env: { CARILLON_RENDEZVOUS: "ring" } });
    await job.endedWell();
    expect((await job.at(0).hears("pushed")).pushed).toBe(20);
  });
});

describe("to oneself", () => {
  test("messages of every size are buffered, in a world of one", () => shares(1, PROGRAM, ["oneself"]));
  test("messages of every size are buffered, among others", () => shares(2, PROGRAM, ["oneself"]));
});
