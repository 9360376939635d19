// What the project is for: a large message arrives while the receiver's JavaScript computes. Asserted is the order of
// what happened, by a clock that both processes share, not how long it took.
import { expect, test } from "vitest";
import { ranks } from "./support/ranks.js";

test.each(["timer", "socket"])("a large message is taken while JavaScript computes in a %s callback", async (where) => {
  const job = ranks(2, "busy-receiver.mjs", [where]);
  await job.endedWell();
  const { sent } = await job.at(0).hears("sent");
  const { until } = await job.at(1).hears("until");
  expect(sent).toBeLessThan(until as number);
});
