// Every doorbell that this machine has does the same for its users: one world of three ranks for each, real processes, one behaviour after
// the other; and what is said of doorbells that do not work or do not exist.
// `CARILLON_DOORBELL=uintr npx vitest run` is the whole suite by real user interrupts: every rank fails to join where they are missing.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { native } from "../dist/src/native.js";
import { fixture, run } from "./cli/fixtures/carillon.js";
import { alone, Ranks, ranks } from "./support/ranks.js";

const PROGRAM = "doorbells.mjs";
const rows = native().doorbells();
const available = rows.filter((each) => each.available).map((each) => each.name);
const unavailable = rows.filter((each) => !each.available);
const variants = available.flatMap((doorbell) => [
  { name: doorbell, doorbell, interrupts: "javascript" },
  ...(doorbell === "signal" ? [{ name: "signal, on the progress thread", doorbell, interrupts: "progress" }] : []),
]);

/** For whoever reads the log: nothing is asserted of times. */
const inSystemCall: string[] = [];
afterAll(() => console.log(`1 MiB to a rank in a synchronous system call: ${inSystemCall.join(", ")}`));

describe.each(variants)("$name", ({ name, doorbell, interrupts }) => {
  let job: Ranks;
  beforeAll(() => {
    const env = { CARILLON_DOORBELL: doorbell, CARILLON_INTERRUPTS: interrupts };
    job = new Ranks(3, PROGRAM, ["conformance"], { env });
  });
  afterAll(() => job.end());

  async function all(key: string, ...who: number[]) {
    try {
      return await job.wait(Promise.all(who.map((rank) => job.at(rank).hears(key))));
    } catch (error) {
      for (const each of job.all) each.kill(); // what comes next need not wait for them
      throw error;
    }
  }

  test("is what ranks are rung by", async () => {
    const said = await all("doorbell", 0, 1, 2);
    expect(said.map((each) => each.doorbell)).toEqual([doorbell, doorbell, doorbell]);
  });

  test("keeps the order of each source and tag", () => all("order", 0, 1, 2));

  test("serves receives from anybody, of anything", () => all("wildcards", 0, 1, 2));

  test("serves every protocol", () => all("protocols", 0, 1, 2));

  test("reaches a rank whose JavaScript computes", () => all("busy", 0, 1, 2));

  test("reaches a rank that sleeps", () => all("asleep", 0, 1, 2));

  test("reaches a rank in Atomics.wait", () => all("waiting", 0, 1, 2));

  test("reaches a rank in a synchronous system call", async () => {
    await all("inSystemCall", 0, 1, 2);
    const { milliseconds } = await job.at(0).hears("milliseconds");
    inSystemCall.push(`${name} ${(milliseconds as number).toFixed(1)} ms`);
  });

  test("a rank that is killed ends what only it could do", async () => {
    await all("victim", 2);
    await all("needy", 0, 1);
    job.at(2).kill();
    await all("killed", 0, 1);
  });

  test("a rank that ends is heard to its last word", async () => {
    await all("ended", 0);
    await job.endedWell(2);
  });
});

test("ranks rung in different ways are one world", async () => {
  const kinds = ["signal", "futex", "eventfd", "poll"].map((each) => (available.includes(each) ? each : "eventfd"));
  const job = ranks(4, PROGRAM, ["mixed", ...kinds], { env: { CARILLON_DOORBELL: undefined } });
  await job.endedWell();
  for (const [rank, kind] of kinds.entries()) expect((await job.at(rank).hears("doorbell")).doorbell).toBe(kind);
});

/** What a rank alone is told, which then joins as if nothing had been asked. */
async function refused(option: string, variable?: string) {
  const words = ["refused", option, ...(variable === undefined ? [] : [variable])];
  const job = alone(PROGRAM, words, { env: { CARILLON_DOORBELL: undefined } });
  await job.endedWell();
  const { doorbell } = await job.at(0).hears("doorbell");
  expect(["eventfd", "uintr"]).toContain(doorbell);
  const { code, message } = await job.at(0).hears("code");
  return { code, message };
}

test.each(unavailable)("$name does not work here, and says why", async ({ name, detail }) => {
  const expected = {
    code: "ERR_CARILLON_DOORBELL_UNAVAILABLE",
    message: `the doorbell "${name}" does not work here: ${detail}; \`carillon info\` shows which do`,
  };
  expect(await refused(name)).toEqual(expected);
  expect(await refused("", name)).toEqual(expected);
  const { code, stderr } = await run([
    "-n",
    "2",
    "--doorbell",
    name,
    fixture("../../programs/doorbells.mjs"),
    "conformance",
  ]);
  expect(code).not.toBe(0);
  expect(stderr).toContain(detail);
});

test("a name that is none is refused, wherever it is said", async () => {
  const choice = /must be "auto" or "poll" or .*, not "gong"$/;
  expect(await refused("gong")).toEqual({
    code: "ERR_CARILLON_INVALID_ARGUMENT",
    message: expect.stringMatching(choice),
  });
  expect(await refused("", "gong")).toEqual({
    code: "ERR_CARILLON_ENVIRONMENT",
    message: expect.stringMatching(/^CARILLON_DOORBELL must be/),
  });
  const { code, stderr } = await run(["-n", "1", "--doorbell", "gong", fixture("who.mjs")]);
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(/--doorbell takes auto, .*"gong"/) });
});
