// Memory of processes, seen from outside (/proc/PID/smaps_rollup and status). Where processes share pages, Pss divides
// each page among those that map it: only its sum over all of them counts every page once.
import { readFileSync } from "node:fs";

export interface Memory {
  /** Every resident page the process maps, shared ones in full. */
  readonly residentBytes: number;
  /** Its share of them, shared memory included. */
  readonly shareBytes: number;
  /** Page tables, which the kernel keeps for it. */
  readonly tableBytes: number;
}

export function memoryOf(pid: number): Memory {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return {
    residentBytes: kilobytes(rollup, "Rss"),
    shareBytes: kilobytes(rollup, "Pss"),
    tableBytes: kilobytes(status, "VmPTE"),
  };
}

/** What processes could take without swapping. */
export function availableMemory(): number {
  return kilobytes(readFileSync("/proc/meminfo", "utf8"), "MemAvailable");
}

function kilobytes(text: string, field: string): number {
  const number = new RegExp(`^${field}:\\s*(\\d+) kB`, "m").exec(text)?.[1];
  if (number === undefined) throw new Error(`the kernel does not say ${field}`);
  return Number(number) * 1024;
}
