// Matched probes: one taker, the line, giving back, forgetting, endings.
import { describe, expect, test } from "vitest";
import { alone, plays, ranks, shares } from "./support/ranks.js";

const PROGRAM = "probe.mjs";

describe("an offer", () => {
  test("of every size and protocol is received as it was sent", () => shares(2, PROGRAM, ["sizes"]));
  test("of a message to oneself is received as it was sent", () => shares(1, PROGRAM, ["oneself"]));
  test("is received once, given back once, and prints what it is", () => shares(1, PROGRAM, ["once"]));
  test("stands when `into` is too small or the signal has aborted", () => shares(1, PROGRAM, ["tooSmall"]));
  test("completes a synchronous send when it is received, not before", () => shares(2, PROGRAM, ["synchronous"]));
  test("holds its sender's credit", () => shares(2, PROGRAM, ["credit"]));
});

describe("a probe", () => {
  test("stands in one line with receives", () => shares(1, PROGRAM, ["line"]));
  test("that does not wait sees what is here", () => shares(2, PROGRAM, ["now"]));
  test("can be cancelled and aborted", () => shares(1, PROGRAM, ["cancel"]));
  test("refuses what is no rank and no tag", () => shares(1, PROGRAM, ["refuses"]));
});

describe("what is given back", () => {
  test("returns to its place", () => shares(1, PROGRAM, ["givenBack"]));
  test.each(["1", "2", "3"])("keeps the law of one taker, held against a model (seed %s)", (seed) =>
    plays(1, PROGRAM, "model", seed),
  );
  test("in any order, of every protocol, keeps the order of each tag", () => shares(2, PROGRAM, ["order"]));
  test("by a thread that ends goes to the others", () => shares(2, PROGRAM, ["threads"]));
  test("because it was forgotten comes with a warning", async () => {
    const job = alone(PROGRAM, ["forgotten"], { execArgv: ["--expose-gc"] });
    await job.endedWell();
  });
});

describe("endings", () => {
  test("what its sender took back rejects as cancelled", () => shares(2, PROGRAM, ["takenBack"]));
  test("what its sender took back is not probed", () => shares(2, PROGRAM, ["cancelledBefore"]));
  test("a small message is received after its sender has gone, and probes reject then", () =>
    plays(2, PROGRAM, "closed"));
  test("a large message of a sender that died rejects, a small one does not", async () => {
    const job = ranks(2, PROGRAM, ["lost"]);
    await job.wait(job.at(0).hears("holds"));
    job.at(1).kill();
    await job.endedWell(1);
    expect(await job.at(0).hears("small")).toEqual({ small: "small", large: "ERR_CARILLON_PEER_LOST", of: 1 });
  });
  test("close rejects probes and gives back", () => plays(1, PROGRAM, "closes"));
});
