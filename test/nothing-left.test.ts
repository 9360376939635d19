// What is left when worlds end: nothing, neither in a process that goes on nor on the machine.
import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { alone, plays, ranks } from "./support/ranks.js";

const PROGRAM = "nothing-left.mjs";

test("50 worlds of one leave no descriptor and no thread", () => plays(1, PROGRAM, "worlds"));

test("400 worlds of one leave no memory", () => alone(PROGRAM, ["memory"], { execArgv: ["--expose-gc"] }).endedWell());

test("a job leaves nothing, however it ends", async () => {
  const before = readdirSync("/dev/shm");
  const hub = () => readdirSync("/proc/self/fd").length;
  const descriptors = hub();
  const ended = ranks(3, PROGRAM, ["job"]);
  await ended.endedWell();
  const killed = ranks(3, PROGRAM, ["job"]);
  for (const each of killed.all) each.kill();
  await killed.ended();
  await Promise.all([ended.end(), killed.end()]);
  expect(readdirSync("/dev/shm").filter((name) => !before.includes(name) && /carillon/i.test(name))).toEqual([]);
  expect(hub()).toBe(descriptors);
});
