// CPU time of processes, seen from outside. Exact to the nanosecond where the kernel counts that way
// (/proc/PID/task/*/schedstat), otherwise in clock ticks; both are there, because only ticks are everywhere.
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

let ticksPerSecond: number | undefined;

/** Length of a clock tick, the resolution of /proc/PID/stat. */
export function tickNs(): number {
  ticksPerSecond ??= Number(spawnSync("getconf", ["CLK_TCK"], { encoding: "utf8" }).stdout) || 100;
  return 1e9 / ticksPerSecond;
}

/** utime + stime of all threads, from /proc/PID/stat: whole clock ticks. */
export function cpuTicks(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The second field is the command in parentheses and may contain anything; utime and stime are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

/** Time on a CPU of every thread that lives, in nanoseconds; undefined where the kernel does not keep it. */
export function cpuExactNs(pid: number): number | undefined {
  try {
    let sum = 0;
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      sum += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]);
    }
    return sum;
  } catch {
    return undefined;
  }
}

/** The best there is, in nanoseconds; 0 for a process that has gone. */
export function cpuNs(pids: readonly number[]): number {
  let sum = 0;
  for (const pid of pids) {
    try {
      sum += cpuExactNs(pid) ?? cpuTicks(pid) * tickNs();
    } catch {
      // Gone: what it used before is lost to us, and the session will say that it ended.
    }
  }
  return sum;
}
