// `carillon run` and signals: who gets which, how often, and the exit codes.
import { readFileSync } from "node:fs";
import { describe, expect, test, vi } from "vitest";
import { carillon, fixture, isAlive, numbers, type Running, until, untilGone } from "./fixtures/carillon.js";

vi.setConfig({ testTimeout: 60_000 });

async function ready(...words: string[]): Promise<Running> {
  const job = carillon(["run", "-n", "3", fixture("signals.mjs"), ...words]);
  await until(job, "rank 0 ready", "rank 1 ready", "rank 2 ready");
  return job;
}

function everyRank(text: string): string[] {
  return [0, 1, 2].map((rank) => `rank ${rank} ${text}`);
}

test("SIGTERM reaches every rank, and the job waits for them", async () => {
  const job = await ready();
  job.child.kill("SIGTERM");
  const { code, stdout, stderr } = await job.ended;
  expect({ code, stderr }).toEqual({ code: 143, stderr: "" });
  for (const line of everyRank('ends after {"SIGTERM":1}')) expect(stdout).toContain(line);
});

// Both last as long as the launcher's patience: at the same time.
describe.concurrent("ranks that will not end", () => {
  test("are killed in the end, after SIGTERM", async ({ expect }) => {
    const job = await ready("stubborn");
    job.child.kill("SIGTERM");
    expect(await job.ended).toMatchObject({ code: 143, stderr: "" });
    expect(numbers(job.stdout, "pid").filter(isAlive)).toEqual([]);
  });

  test("are passed SIGHUP, SIGQUIT, SIGUSR2 and SIGCONT", async ({ expect }) => {
    const job = await ready("stubborn");
    for (const signal of ["SIGQUIT", "SIGUSR2", "SIGCONT", "SIGHUP"] as const) {
      job.child.kill(signal);
      await until(job, ...everyRank(`got ${signal}`));
    }
    expect((await job.ended).code).toBe(129);
  });
});

test("a rank that SIGINT kills gives the job its code, without a complaint", async () => {
  const job = carillon(["run", "-n", "2", "--", "sh", "-c", "echo up $CARILLON_RANK; exec sleep 1000"]);
  await until(job, "up 0", "up 1");
  job.child.kill("SIGINT");
  expect(await job.ended).toMatchObject({ code: 130, stderr: "" });
});

test("ranks that handle SIGINT end in their own time, with their own code", async () => {
  const code = `process.once("SIGINT", () => setTimeout(() => { console.log("saved", rank); process.exit(0) }, 300 * rank));
    const rank = Number(process.env.CARILLON_RANK); setInterval(() => {}, 1 << 30); console.log("up", rank)`;
  const job = carillon(["run", "-n", "3", "-e", code]);
  await until(job, "up 0", "up 1", "up 2");
  job.child.kill("SIGINT");
  const { code: exit, stdout, stderr } = await job.ended;
  expect({ exit, stderr }).toEqual({ exit: 0, stderr: "" });
  for (const rank of [0, 1, 2]) expect(stdout).toContain(`saved ${rank}`);
});

test("a second SIGINT kills; the same one passed on by npm does not count", async () => {
  const job = await ready("stubborn");
  job.child.kill("SIGINT");
  job.child.kill("SIGINT");
  await until(job, ...everyRank("got SIGINT"));
  expect(numbers(job.stdout, "pid").filter(isAlive)).toHaveLength(3);
  const again = setInterval(() => job.child.kill("SIGINT"), 50);
  const { code, signal, stderr } = await job.ended;
  clearInterval(again);
  // One of them may come when the launcher is past its handlers: to a shell that is the same.
  expect(signal === "SIGINT" ? 130 : code).toBe(130);
  expect(stderr).toBe("");
  await untilGone(numbers(job.stdout, "pid"));
});

test("SIGTSTP stops the ranks with the launcher, SIGCONT continues them", async () => {
  const job = await ready();
  const everyone = [job.pid, ...numbers(job.stdout, "pid")];
  job.child.kill("SIGTSTP");
  await expect.poll(() => everyone.map(state), { timeout: 30_000 }).toEqual(["T", "T", "T", "T"]);
  job.child.kill("SIGCONT");
  await until(job, ...everyRank("got SIGCONT"));
  job.child.kill("SIGTERM");
  expect((await job.ended).code).toBe(143);
});

function state(pid: number): string | undefined {
  return /^State:\s+(\S)/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1];
}
