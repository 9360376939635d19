// A Request: a Promise as any other, that can be cancelled, aborted and inspected.
import { describe, test } from "vitest";
import { alone, plays, ranks, shares } from "./support/ranks.js";

const PROGRAM = "requests.mjs";

test("a request is a Promise", () => shares(1, PROGRAM, ["promise"]));
test("requests, messages and worlds print what they are", () => shares(1, PROGRAM, ["inspect"]));
test("a signal aborts, before and after, with its reason", () => shares(1, PROGRAM, ["abort"]));
test("a signal that lives long collects no listeners", () => shares(1, PROGRAM, ["listeners"]));
test("what was cancelled or closed counts as handled, errors do not", () => plays(1, PROGRAM, "handled"));

describe("of several requests", () => {
  test("all, race, any and allSettled settle as with any promise", () => shares(1, PROGRAM, ["combinators"]));
  test("the losers of 50,000 races leave nothing", async () => {
    const job = alone(PROGRAM, ["losers"], { execArgv: ["--expose-gc"] });
    await job.endedWell();
  });
  test("a signal's time-out ends those that wait, with its reason", () => shares(1, PROGRAM, ["timeout"]));
});

describe("a send that is cancelled", () => {
  test("while it waits for its receiver is gone, and the others keep their order", async () => {
    const job = ranks(2, PROGRAM, ["cancelSends"]);
    await job.wait(job.at(0).hears("cancelled"));
    job.at(1).tell("go");
    await job.endedWell();
  });
  test("is cancelled or delivered, never both, whatever the receiver does meanwhile", () =>
    plays(2, PROGRAM, "cancelRaces"));
});

test("a lost peer is no handled rejection", async () => {
  const job = ranks(2, PROGRAM, ["lostIsUnhandled"]);
  await job.wait(Promise.all(job.all.map((each) => each.hears("ready"))));
  job.at(1).kill();
  await job.endedWell(1);
});
