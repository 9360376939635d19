// What the tests of the examples share: where the built examples are, and a job one of whose ranks is killed while it works.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { carillon, type StartOptions, untilGone } from "../cli/fixtures/carillon.js";

export const EXAMPLES = fileURLToPath(new URL("../../dist/examples", import.meta.url));

/** CPU time in 10 ms after which a rank is past its beginning: only when it is killed depends on it, not what must follow. */
const AT_WORK = 80;

/** `carillon run` with these words, `rank` killed: stderr, when the job has ended by itself and no process is left. */
export async function killedAtWork(rank: number, words: string[], options: StartOptions = {}): Promise<string> {
  const job = carillon(["run", ...words], options);
  let processes: number[] = [];
  await expect
    .poll(
      () => {
        processes = descendants(job.pid);
        return processes.some((pid) => rankOf(pid) === rank && cpuTime(pid) >= AT_WORK);
      },
      { timeout: 50_000, interval: 50 },
    )
    .toBe(true);
  process.kill(processes.find((pid) => rankOf(pid) === rank) as number, "SIGKILL");
  const { code, stderr } = await job.ended;
  await untilGone(processes);
  expect(code, stderr).toBe(137);
  return stderr;
}

function descendants(pid: number): number[] {
  const children = read(`/proc/${pid}/task/${pid}/children`).split(" ").filter(Boolean).map(Number);
  return children.flatMap((child) => [child, ...descendants(child)]);
}

function rankOf(pid: number): number | undefined {
  const found = /(?:^|\0)CARILLON_RANK=(\d+)/.exec(read(`/proc/${pid}/environ`));
  return found ? Number(found[1]) : undefined;
}

function cpuTime(pid: number): number {
  const fields = read(`/proc/${pid}/stat`).split(") ").at(-1)?.split(" ") ?? [];
  return Number(fields[11]) + Number(fields[12]);
}

/** Nothing where the process has just ended. */
function read(file: string): string {
  try {
    return readFileSync(file, "latin1");
  } catch {
    return "";
  }
}
