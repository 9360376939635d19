// Compute pools: threads of a rank that work while messages flow, during tasks and between them.
import { describe, expect, test } from "vitest";
import { alone, plays } from "./support/ranks.js";

const PROGRAM = "pool.mjs";

describe("a task", () => {
  test("runs in a thread of its own and gives its result", () => plays(1, PROGRAM, "results"));
  test("may be of another module, under another name, and take memory along", () => plays(1, PROGRAM, "choices"));
  test("rejects with what it threw", () => plays(1, PROGRAM, "errors"));
  test("sends and receives while the main thread of its rank computes", () => plays(2, PROGRAM, "busy"));
  test("has its messages matched, fetched and answered while every thread of its rank computes", () =>
    plays(2, PROGRAM, "all compute"));
  test("can be aborted", () => plays(2, PROGRAM, "abort"));
});

describe("an idle thread", () => {
  test("answers messages by itself", () => plays(2, PROGRAM, "idle"));
  test("answers while the main thread of its rank computes", () => plays(2, PROGRAM, "idle-busy"));
  test("lets the process end", async () => {
    const job = alone(PROGRAM, ["unfinished"]);
    await job.endedWell();
    expect(job.at(0).said).toContainEqual({ answers: [0, 1] });
  });
});

describe("a pool", () => {
  test("is destroyed in mid-task and leaves its rank usable", () => plays(2, PROGRAM, "destroy"));
  test("is destroyed while its threads start, and the process goes on", async () => {
    await plays(1, PROGRAM, "starting");
    // The moment that ended it lasts microseconds: that a thread never comes by it is seen from what it requires.
    const required = await import(new URL("../dist/workers/task.js", import.meta.url).href);
    expect(Object.keys(required)).not.toContain("default");
  });
  test("asks for an open world and a module that exists", () => plays(1, PROGRAM, "bad"));
});
