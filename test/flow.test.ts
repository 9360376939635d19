// Many messages at once: nothing overtakes, nothing is lost, nobody deadlocks, whoever is slow to receive.
import { describe, expect, test } from "vitest";
import { plays, ranks, shares } from "./support/ranks.js";
import { thorough } from "./support/thorough.js";

const PROGRAM = "flow.mjs";

test.each([
  [1, "adaptive"],
  [2, "adaptive"],
  [3, "block"],
  [4, "block"],
])("nothing overtakes, over random sizes and tags in both directions (seed %i, wait %s)", (seed, wait) =>
  shares(2, PROGRAM, ["order", String(seed)], { env: { CARILLON_WAIT: wait } }),
);

test("100,000 messages that nobody receives yet wait, and arrive in order", () => plays(2, PROGRAM, "unreceived"));

test("two ranks that flood each other before they receive do not deadlock", () => plays(2, PROGRAM, "flood"));

test("everybody sends to everybody and receives late", () => plays(4, PROGRAM, "allToAll"));

test("eager messages beyond the quota become offers", async () => {
  const job = ranks(2, PROGRAM, ["quota"]);
  await job.endedWell();
  const said = await job.at(0).hears("offers");
  expect(said.offers).toBeGreaterThan(0);
});

describe("what nobody takes holds back its own tag only", () => {
  const patient = { timeout: 300_000 };
  const flows = (size: number, ...words: string[]) => ranks(size, PROGRAM, words, { patience: patient.timeout });

  thorough("a million small messages of tag 1, then one of tag 2, which is received first", patient, () =>
    flows(2, "behind", "1000000", "8", "0").endedWell(),
  );

  const passes = (_: string, ...words: string[]) => flows(2, "behind", ...words).endedWell();
  test.each([
    ["100,000 small messages, received from any source", "100000", "8", "any"],
    ["300 large messages", "300", "100000", "0"],
  ])("%s of tag 1, then one of tag 2, which is received first", patient, passes);
  thorough.each([
    ["100,000 small messages", "100000", "8", "0"],
    ["300 large messages, received from any source", "300", "100000", "any"],
  ])("%s of tag 1, then one of tag 2, which is received first", patient, passes);

  test("5,000 tags that nobody receives, then one more", patient, () => flows(2, "tags", "5000").endedWell());

  test("the memory of senders and receiver is bounded, and other ranks and tags go on", patient, async () => {
    const job = flows(3, "bounded", String(128 << 20));
    await job.endedWell();
    const grew = await Promise.all(job.all.map(async (each) => (await each.hears("grew")).grew as number));
    // What JavaScript leaves to its collector is in it; two senders would have brought 384 MiB.
    const margin = 48 << 20;
    expect(grew[2]).toBeLessThan((64 << 20) + margin);
    expect(grew[0]).toBeLessThan(margin);
    expect(grew[1]).toBeLessThan(margin);
  });

  test("all send to all, of every size, and receive late", patient, () => flows(4, "allLate").endedWell());
});
