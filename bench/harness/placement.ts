// Where the two processes of a peer run: on two cores, on one, or where the scheduler likes.
// Whole processes are pinned, all threads of them, by starting them under taskset.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";

export interface Placement {
  readonly id: "apart" | "together" | "free" | "threads-apart";
  readonly description: string;
  /** CPU of the initiator and of its partner; undefined where the scheduler chooses. */
  readonly cpus?: readonly [number, number];
  /** CPU of the main thread of each, while their other threads run where the scheduler likes. */
  readonly mainThreads?: readonly [number, number];
  /** Why this machine cannot place processes this way. */
  readonly unavailable?: string;
  /** What is true of every figure that is measured so here: there are fewer processors than it needs. */
  readonly note?: string;
}

/** How many CPUs' time this process may use: it may be allowed to run on more than the cgroup grants time of. */
export function usableCpus(): number {
  const granted = [quota("/sys/fs/cgroup"), quota(ownCgroup())].filter((cpus) => cpus !== undefined);
  return Math.min(allowedCpus().length, ...granted);
}

/** The same placement, with a note if what runs at once wants more CPUs than can be used. */
export function wanting(cpus: number, placement: Placement): Placement {
  const usable = usableCpus();
  if (usable >= cpus || placement.unavailable !== undefined) return placement;
  const found = Number.isInteger(usable) ? String(usable) : usable.toFixed(1);
  return { ...placement, note: `oversubscribed: ${cpus} CPUs wanted, ${found} usable` };
}

/** CPUs this process may use, from the kernel's list notation (`0-3,8`). */
export function allowedCpus(): number[] {
  const status = readFileSync("/proc/self/status", "utf8");
  const list = /^Cpus_allowed_list:\s*(.*)$/m.exec(status)?.[1] ?? "";
  return list
    .split(",")
    .filter(Boolean)
    .flatMap((range) => {
      const [first, last] = range.split("-").map(Number) as [number, number | undefined];
      return Array.from({ length: (last ?? first) - first + 1 }, (_, i) => first + i);
    });
}

export function placements(): Placement[] {
  const cpus = allowedCpus();
  const first = cpus[0] ?? 0;
  const second =
    cpus.find((cpu) => cpu !== first && coreOf(cpu) !== coreOf(first)) ?? cpus.find((cpu) => cpu !== first);
  const taskset = spawnSync("taskset", ["-c", String(first), "true"]).status === 0;
  const siblings = second !== undefined && coreOf(second) === coreOf(first) ? ", hyper-threads of one core" : "";
  const missing = taskset ? undefined : "taskset (util-linux) is not there to pin processes with";
  return [
    second === undefined
      ? { id: "apart", description: "pinned to two CPUs", unavailable: missing ?? "this process may use one CPU only" }
      : wanting(2, {
          id: "apart",
          description: `pinned to CPUs ${first} and ${second}${siblings}`,
          cpus: [first, second],
          ...because(missing),
        }),
    { id: "together", description: `pinned to CPU ${first}, both`, cpus: [first, first], ...because(missing) },
    wanting(2, { id: "free", description: "not pinned" }),
  ];
}

/**
 * Main threads on two CPUs, all other threads where the scheduler likes. What a process does besides its computation
 * needs a CPU of its own to be done at the same time: one that is pinned as a whole has none. That is three, with V8's helpers.
 */
export function threadsApart(): Placement {
  const { cpus, description, unavailable } = placements()[0] as Placement;
  return wanting(3, {
    id: "threads-apart",
    description: `main threads ${description}, other threads not`,
    ...(cpus ? { mainThreads: cpus } : {}),
    ...because(unavailable),
  });
}

/** @param pids the initiator and its partner */
export function pinMainThreads(placement: Placement | undefined, pids: readonly number[]): void {
  placement?.mainThreads?.forEach((cpu, index) => {
    const pid = pids[index];
    // Without -a this is one thread: the one whose number is the process's.
    const { status } = spawnSync("taskset", ["-p", "-c", String(cpu), String(pid)], { stdio: "ignore" });
    if (status !== 0) throw new Error(`taskset cannot pin the main thread of process ${pid}`);
  });
}

/** The words of a command line that runs `command` as process `index` (0 initiator, 1 partner) of a placement. */
export function placed(placement: Placement, index: 0 | 1, command: readonly string[]): string[] {
  return onCpu(placement.cpus?.[index], command);
}

export function onCpu(cpu: number | undefined, command: readonly string[]): string[] {
  return cpu === undefined ? [...command] : ["taskset", "-c", String(cpu), ...command];
}

/** CPUs that a cgroup (version 2) grants the time of; undefined: no limit, or none that can be read. */
function quota(folder: string): number | undefined {
  if (!existsSync(`${folder}/cpu.max`)) return undefined;
  const [most, period] = readFileSync(`${folder}/cpu.max`, "utf8").split(" ").map(Number);
  return most !== undefined && most > 0 && period ? most / period : undefined;
}

function ownCgroup(): string {
  const path = /^0::(.*)$/m.exec(readFileSync("/proc/self/cgroup", "utf8"))?.[1] ?? "";
  return `/sys/fs/cgroup${path === "/" ? "" : path}`;
}

function because(unavailable: string | undefined): { unavailable?: string } {
  return unavailable === undefined ? {} : { unavailable };
}

/** An identifier of the physical core, so that "apart" prefers two of them over two hyper-threads of one. */
function coreOf(cpu: number): string {
  try {
    return readFileSync(`/sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`, "utf8").trim();
  } catch {
    return String(cpu);
  }
}
