// Threads of one process under measurement: what the kernel calls each, and where it runs (BENCH_THREAD_CPUS, one for each thread).
import { spawnSync } from "node:child_process";
import { readlinkSync } from "node:fs";

/** The number of the thread that calls. */
export function threadId(): number {
  return Number(readlinkSync("/proc/thread-self").split("/").at(-1));
}

/** Pins the thread that calls, the process's thread `index` of those that talk, and no other. */
export function pinThread(index: 0 | 1): void {
  const cpu = process.env.BENCH_THREAD_CPUS?.split(",")[index];
  if (!cpu) return;
  const { status } = spawnSync("taskset", ["-p", "-c", cpu, String(threadId())], { stdio: "ignore" });
  if (status !== 0) throw new Error(`taskset cannot pin thread ${threadId()}`);
}
