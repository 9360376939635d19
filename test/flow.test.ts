// Many messages at once: nothing overtakes, nothing is lost, nobody deadlocks, whoever is slow to receive.
import { expect, test } from "vitest";
import { plays, ranks } from "./support/ranks.js";

const PROGRAM = "flow.mjs";

test.each([
  [1, "adaptive"],
  [2, "adaptive"],
  [3, "block"],
  [4, "block"],
])("nothing overtakes, over random sizes and tags in both directions (seed %i, wait %s)", (seed, wait) =>
  ranks(2, PROGRAM, ["order", String(seed)], { env: { CARILLON_WAIT: wait } }).endedWell(),
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
