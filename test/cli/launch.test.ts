// `launch`: the parent is rank 0, its children are the others; their output, their ends and the parent's.
import { beforeAll, describe, expect, test, vi } from "vitest";
import {
  type Ended,
  fixture,
  numbers,
  type Running,
  sortedLines,
  start,
  until,
  untilGone,
} from "./fixtures/carillon.js";

vi.setConfig({ testTimeout: 60_000 });

function parent(options: object, task = "close", nodeOptions: string[] = []): Running {
  return start(process.execPath, [...nodeOptions, fixture("parent.mjs"), JSON.stringify(options), task]);
}

function launchError({ stdout }: Ended): { name: string; code: string; rank?: number; message: string } {
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
}

test("the children join, with the arguments, options and environment they are given", async () => {
  const options = {
    size: 3,
    args: ["report", "--", "a b"],
    execArgv: ["--title", "bell"],
    env: { GREETING: "ding" },
    wait: "block",
  };
  const { code, stdout, stderr } = await parent(options, "collect").ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const lines = stdout.split("\n");
  expect(lines).toContain("joined as rank 0 of 3");
  for (const rank of [1, 2]) {
    expect(lines).toContain(`rank ${rank} reports`);
    const report = {
      rank,
      args: ["--", "a b"],
      execArgv: ["--title", "bell"],
      title: "bell",
      greeting: "ding",
      wait: "block",
    };
    expect(lines.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line))).toContainEqual(report);
  }
});

test("the children inherit this node's options, without its inspector", async () => {
  const own = ["--no-warnings", "--inspect=127.0.0.1:0", "--title", "tower"];
  const { stdout } = await parent({ size: 2, args: ["report"] }, "collect", own).ended;
  const report = stdout.split("\n").find((line) => line.startsWith("{")) ?? "";
  expect(JSON.parse(report).execArgv).toEqual(["--no-warnings", "--title", "tower"]);
});

test("label names the children's lines", async () => {
  const { stdout } = await parent({ size: 3, args: ["report"], label: true }, "collect").ended;
  expect(sortedLines(stdout)).toEqual(expect.arrayContaining(["[1] rank 1 reports", "[2] rank 2 reports"]));
});

test("a world of one starts nobody", async () => {
  expect(await parent({ size: 1 }).ended).toMatchObject({
    code: 0,
    stdout: "joined as rank 0 of 1\nclosed\n",
    stderr: "",
  });
});

test.each(["close", "nothing"])(
  "the parent that leaves (%s) waits for children that have something to say",
  async (task) => {
    const { code, stdout, stderr } = await parent({ size: 3, args: ["outlive"] }, task).ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    for (const rank of [1, 2]) expect(stdout).toContain(`rank ${rank} heard ERR_CARILLON_PEER_CLOSED`);
  },
);

test("a child that ends before it joins rejects the launch, and the others end", async () => {
  const ended = await parent({ size: 3, args: ["end early", "2"] }).ended;
  expect(ended.code).toBe(0);
  const error = launchError(ended);
  expect(error).toMatchObject({ name: "CarillonError", code: "ERR_CARILLON_JOIN_FAILED", rank: 2 });
  expect(error.message).toMatch(/rank 2\b.*\bcode 6\b/);
});

test("a child that fails later is named", async () => {
  const { code, stderr } = await parent({ size: 3, args: ["fail late", "2"] }, "release").ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: "carillon: rank 2 exited with code 3\n" });
});

test.each(["SIGKILL", "SIGTERM"] as const)("the children end when %s ends the parent", async (signal) => {
  const running = parent({ size: 3, args: ["stay"] }, "stay");
  await until(running, "rank 1 ready", "rank 2 ready");
  running.child.kill(signal);
  await untilGone(numbers(running.stdout, "pid"));
  expect((await running.ended).signal).toBe(signal);
});

test("a script that does not exist", async () => {
  const error = launchError(await parent({ size: 2, script: "/nowhere/rank.js" }).ended);
  expect(error).toMatchObject({ code: "ERR_CARILLON_LAUNCH_FAILED", message: "there is no script /nowhere/rank.js" });
  const remote = launchError(await parent({ size: 2, script: "file://elsewhere/rank.js" }).ended);
  expect(remote.code).toBe("ERR_CARILLON_LAUNCH_FAILED");
});

describe("refused", () => {
  const wrong: object[] = [
    { size: 0 },
    { size: 1.5 },
    { size: "2" },
    { size: 257 },
    { size: 2, script: "" },
    { size: 2, script: 7 },
    { size: 2, args: "x" },
    { size: 2, args: [1] },
    { size: 2, execArgv: {} },
    { size: 2, env: { A: 1 } },
    { size: 2, wait: "never" },
    { size: 2, maxUnexpectedBytes: 1 },
    { size: 2, rendezvous: "never" },
    { size: 2, label: "yes" },
  ];
  let heard: string[];
  beforeAll(async () => {
    const { code, stdout, stderr } = await parent(wrong, "refused").ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    heard = stdout.trim().split("\n");
    expect(heard).toHaveLength(wrong.length);
  });

  test.each(wrong)("%j", (options) => {
    const error = JSON.parse(heard[wrong.indexOf(options)] ?? "");
    const name = Object.keys(options).at(-1);
    expect(error).toMatchObject({ code: "ERR_CARILLON_INVALID_ARGUMENT" });
    expect(error.message).toContain(`launch: ${name} must be `);
  });
});
