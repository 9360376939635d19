// world.abort: every rank ends, whatever it does, and the job has the code.
import { fileURLToPath } from "node:url";
import { expect, test, vi } from "vitest";
import { numbers, run, start, untilGone } from "./cli/fixtures/carillon.js";
import { alone, ranks } from "./support/ranks.js";

vi.setConfig({ testTimeout: 60_000 });

const PROGRAM = fileURLToPath(new URL("programs/abort.mjs", import.meta.url));

test.each([
  ["main", 0, 7],
  ["main", 2, 1],
  ["thread", 1, 255],
])("under carillon run, from the %s thread of rank %i with code %i", async (where, who, code) => {
  const ended = await run(["-n", "3", PROGRAM, String(who), String(code), where]);
  expect(ended).toMatchObject({ code, stderr: `carillon: rank ${who} aborted the job with code ${code}\n` });
  expect(numbers(ended.stdout, "pid")).toHaveLength(3);
  await untilGone(numbers(ended.stdout, "pid"));
});

test("without a launcher that would end them, by the hub alone", async () => {
  const job = ranks(4, "abort.mjs", ["3", "9", "main"]);
  for (const { code, signal } of await job.ended()) expect({ code, signal }).toEqual({ code: 9, signal: null });
});

test("alone", async () => {
  const [ended] = await alone("abort.mjs", ["0", "5", "main"]).ended();
  expect(ended?.code).toBe(5);
});

test("under launch, by a child: the other child ends, the parent hears that both are lost", async () => {
  const ended = await start(process.execPath, [PROGRAM, "1", "6", "main", "launch"]).ended;
  expect(ended).toMatchObject({ code: 0, stderr: "carillon: rank 1 aborted the job with code 6\n" });
  for (const rank of [1, 2]) expect(ended.stdout).toContain(`heard ERR_CARILLON_PEER_LOST of ${rank}`);
  await untilGone(numbers(ended.stdout, "pid"));
});

test("under launch, by the parent: its code, and its children end", async () => {
  const ended = await start(process.execPath, [PROGRAM, "0", "6", "main", "launch"]).ended;
  expect(ended).toMatchObject({ code: 6, signal: null });
  await untilGone(numbers(ended.stdout, "pid"));
});
