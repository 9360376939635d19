// What /proc knows of processes: who descends from whom, and which process groups still live.
// Not responsible for sending signals (rank-process.ts).
import { readdirSync, readFileSync } from "node:fs";

/** A process and when it began, because the kernel gives numbers away again. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly started: string;
}

interface Process extends ProcessIdentity {
  readonly parent: number;
  readonly group: number;
}

/**
 * The process itself first, then its living descendants: for a rank that shares the terminal's process group with its
 * launcher, where a signal to the group would hit the launcher and its neighbours too.
 */
export function processTree(root: number): ProcessIdentity[] {
  const children = new Map<number, ProcessIdentity[]>();
  const tree: ProcessIdentity[] = [];
  for (const found of allProcesses()) {
    if (found.pid === root) tree.push(found);
    const siblings = children.get(found.parent);
    if (siblings) siblings.push(found);
    else children.set(found.parent, [found]);
  }
  for (let next = 0; next < tree.length; next++) tree.push(...(children.get(tree[next]?.pid ?? -1) ?? []));
  return tree;
}

/** The process groups that have a living member. (kill(2) finds zombies too, and nobody may be there to reap them.) */
export function livingGroups(): ReadonlySet<number> {
  return new Set(allProcesses().map((each) => each.group));
}

/** Whether this very process still lives. */
export function isAlive({ pid, started }: ProcessIdentity): boolean {
  return readProcess(pid)?.started === started;
}

function allProcesses(): Process[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readProcess(Number(name)))
    .filter((found) => found !== undefined);
}

/** Undefined if it has ended. */
function readProcess(pid: number): Process | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The name in parentheses may hold anything; after it: state, parent, group, …, as 22nd of all the start time.
    const [state, parent, group, ...more] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (state === "Z" || state === "X") return undefined;
    return { pid, parent: Number(parent), group: Number(group), started: more[16] ?? "" };
  } catch {
    return undefined;
  }
}
