// Carillon seen from outside: counters, channels, the debug log, what things print as, and what errors say.
import { describe, expect, test } from "vitest";
import type { WorldStats } from "../dist/src/index.js";
import { plays, ranks } from "./support/ranks.js";

const PROGRAM = "outside.mjs";

/** A name that the interface has and this list has not, or the other way round, does not compile. */
const COUNTERS = {
  sent: true,
  bytesSent: true,
  eagerSent: true,
  offersSent: true,
  localSent: true,
  queued: true,
  heldUp: true,
  received: true,
  bytesReceived: true,
  offersReceived: true,
  pushed: true,
  bytesPushed: true,
  bytesReceivedInParts: true,
  unexpected: true,
  unexpectedNow: true,
  unexpectedMost: true,
  unexpectedBytesNow: true,
  unexpectedBytesMost: true,
  rings: true,
  interrupts: true,
  escalations: true,
  ringsSaved: true,
  handlerRuns: true,
  handlerRunsOnMainThread: true,
  handled: true,
  withheld: true,
  late: true,
  wakes: true,
  waitsWon: true,
  waitsLost: true,
  outstanding: true,
  requests: true,
  peersConnected: true,
  leasesLent: true,
  leasesOut: true,
  leasesMapped: true,
  leasesMappedAnew: true,
  leasesCopied: true,
  leaseMapNs: true,
  leaseLentAtNs: true,
  leaseMappedAtNs: true,
  leaseIdleBytes: true,
  leaseMappingsKept: true,
} as const satisfies Record<keyof WorldStats, true>;

test("stats count what was sent, received and waits, under the names that are documented", async () => {
  const job = ranks(2, PROGRAM, ["stats"]);
  await job.endedWell();
  for (const each of job.all) {
    expect((await each.hears("keys")).keys).toEqual(Object.keys(COUNTERS));
    console.log("a snapshot takes", (await each.hears("snapshotMicroseconds")).snapshotMicroseconds, "µs");
  }
});

describe("diagnostics channels", () => {
  test("tell each thread that it has joined, and which peers left or died, whatever it has outstanding", async () => {
    const job = ranks(3, PROGRAM, ["ends"]);
    await job.wait(Promise.all(job.all.map((each) => each.hears("ready"))));
    job.at(0).tell("leave");
    await job.wait(job.at(1).hears("closed"));
    job.at(2).kill();
    await job.endedWell(2);
  });
  test("tell who leaves because of it that its peer has left", () => plays(2, PROGRAM, "leavesToo"));
  test("keep no process alive", () => plays(2, PROGRAM, "letsGo"));
  test("tell when sends have to wait, and when none does any more", () => plays(2, PROGRAM, "backpressure"));
  test("have subscribers that throw, and that go", () => plays(1, PROGRAM, "unsubscribed"));
});

test("every public object prints what it is", () => plays(1, PROGRAM, "inspect"));

describe("NODE_DEBUG=carillon", () => {
  test("logs joins, doorbells, back-pressure, peers that go, and ends", async () => {
    const job = ranks(2, PROGRAM, ["debug"], { env: { NODE_DEBUG: "carillon" } });
    await job.endedWell(1);
    const { stderr } = await job.at(0).ended;
    const lines = stderr.split("\n").filter((line) => line.startsWith("CARILLON "));
    const expected = [
      /: rank 0 of 2: joins \S+, settings \{.*"maxUnexpectedBytes":1048576/,
      /: rank 0 of 2: joined, rung by \w+/,
      /: rank 0: back-pressure on, sends that wait: \d+/,
      /: rank 0: back-pressure off after \d+ ms/,
      /: rank 0: rank 1 has died/,
      /: rank 0: closes, /,
      /: rank 0: this thread leaves/,
    ];
    expect(lines.length, stderr).toBe(expected.length);
    for (const [i, line] of lines.entries()) expect(line).toMatch(expected[i] as RegExp);
  });
  test("is silent else", async () => {
    const job = ranks(2, PROGRAM, ["debug"]);
    await job.endedWell(1);
    expect((await job.at(0).ended).stderr).toBe("");
  });
});

describe("errors", () => {
  test("name operation, peer and tag", () => plays(1, PROGRAM, "errors"));
  test.each([
    ["true", "option", undefined],
    ["true", "environment", "1"],
    ["false", "option", "1"],
    ["false", "environment", undefined],
  ])("say where the request was posted: %s, by %s", async (kept, how, variable) => {
    await ranks(2, PROGRAM, ["stacks", kept, how], { env: { CARILLON_STACKS: variable } }).endedWell(1);
  });
  test("say so when nobody catches them", async () => {
    const job = ranks(2, PROGRAM, ["uncaught"]);
    await job.ended();
    const { code, stderr } = await job.at(0).ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/rank 1 has died\n(.*\n)* {4}at recv \(posted here\)\n {4}at nobodyCatches /);
  });
});
