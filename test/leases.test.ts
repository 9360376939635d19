// Leases: memory that is handed over instead of copied. What arrives, whose it is when, and that nothing of it is left.
import { describe, test } from "vitest";
import { plays, ranks, shares } from "./support/ranks.js";

const PROGRAM = "leases.mjs";

describe("a lease", () => {
  test("of every type and size arrives as it was", () => shares(2, PROGRAM, ["contents", "1"]));
  test("to oneself too", () => shares(2, PROGRAM, ["contents", "0"]));
  test("in a world of one too", () => shares(1, PROGRAM, ["contents", "0"]));
  test("is the receiver's to write, and shows nothing of it later", () => plays(2, PROGRAM, "scribbles"));
  test("is detached where it is sent from and where it is released", () => plays(1, PROGRAM, "laws"));
  test("stays whole when its buffer was transferred", () => shares(1, PROGRAM, ["transferred"]));
  test("can be one of many in flight", () => plays(2, PROGRAM, "many"));
  test("can be received into any memory, and anything into a lease", () => plays(2, PROGRAM, "into"));
  test("is kept while requests use it", () => shares(2, PROGRAM, ["uses"]));
  test("is gone with the send that was cancelled", () => plays(2, PROGRAM, "cancelled"));
  test("overtakes nothing and is overtaken by nothing", () => shares(2, PROGRAM, ["order"]));
  test("is copied where it cannot be mapped", () => plays(2, PROGRAM, "refused"));
  test("outlives the rank that sent it", () => plays(2, PROGRAM, "closed"));
});

describe("nothing is left", () => {
  test.each(["release", "collect"])("after 60 rounds of %s", async (how) => {
    await ranks(2, PROGRAM, ["rounds", how], { execArgv: ["--expose-gc"] }).endedWell();
  });

  test("of workers that are terminated", () => plays(2, PROGRAM, "workers", "6"));

  test.each([1, 2, 3])("when a peer is killed in the middle (%i)", async () => {
    const job = ranks(2, PROGRAM, ["killed"]);
    await job.wait(job.at(0).hears("flowing"));
    job.at(1).kill();
    await job.endedWell(1);
  });
});
