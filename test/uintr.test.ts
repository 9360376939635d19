// User interrupts, by their simulated twin, between real ranks: a receiver that computes is interrupted and its handler makes the progress; one in a system
// call is left alone; the thread that is interrupted may end before its rank. What needs no rank is in test/native/uintr_*_test.cc.
import { expect, test } from "vitest";
import { native } from "../dist/src/native.js";
import { ranks } from "./support/ranks.js";

const PROGRAM = "uintr.mjs";
const simulated = { CARILLON_DOORBELL: "uintr-simulated" };

test.each([
  ["computes", simulated],
  ["isInASystemCall", simulated],
  ["isInterruptedOnTheProgressThread", { ...simulated, CARILLON_INTERRUPTS: "progress" }],
])("messages are taken while rank 1 %s", async (scenario, env) => {
  await ranks(2, PROGRAM, [scenario], { env }).endedWell();
});

test("a rank outlives the thread that was interrupted", async () => {
  await ranks(2, PROGRAM, ["outlivesItsFirstThread"], { env: simulated }).endedWell();
});

test("uintr says why it does not work, and join rejects with that; or it works", async () => {
  const row = native()
    .doorbells()
    .find((each) => each.name === "uintr");
  expect(row).toMatchObject({ detail: expect.stringMatching(/user interrupts/) });
  const job = ranks(2, PROGRAM, ["computes"], { env: { CARILLON_DOORBELL: "uintr" } });
  if (row?.available) return job.endedWell();
  for (const { code, stderr } of await job.ended()) {
    expect(code).toBe(1);
    expect(stderr).toContain("ERR_CARILLON_DOORBELL_UNAVAILABLE");
    expect(stderr).toContain(row?.detail);
  }
});
