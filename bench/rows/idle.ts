// What waiting costs: a world of four with open receives, for five seconds, beside four Node.js processes that wait for
// nothing but their stdin. CPU time is read from outside, all threads, user and system.
import { setTimeout as sleep } from "node:timers/promises";
import { cpuExactNs, cpuTicks, tickNs } from "../harness/cpu.js";
import { integer, milliseconds } from "../harness/format.js";
import { LineProcess } from "../harness/process.js";
import type { Result, Row } from "../harness/row.js";
import { startRanks, type Wait, waitName } from "../peers/carillon.js";

const SIZE = 4;
const SECONDS = 5;
/** Node.js compiles and collects for a moment after a program has started; that is not waiting. */
const SETTLE_MS = 1_000;

export interface Group {
  readonly peer: string;
  readonly name: string;
  /** Processes of idle-program.js, or others that say "ready". @throws Error that says why there are none */
  start(): { processes: readonly LineProcess[]; stop(): Promise<void> };
}

export const IDLE_PROGRAM = "idle-program.js";

const carillon = (wait: Wait): Group => ({
  peer: `carillon-${wait}`,
  name: waitName(wait),
  start: () => startRanks({ size: SIZE, wait, program: IDLE_PROGRAM }),
});

const plainNode: Group = {
  peer: "node",
  name: "Node.js alone",
  start() {
    const command = [process.execPath, "-e", 'process.stdin.resume(); console.log("ready")'];
    const processes = Array.from({ length: SIZE }, () => new LineProcess(command));
    return { processes, stop: async () => void (await Promise.all(processes.map((process) => process.stop()))) };
  },
};

export const idle = waiting("idle", `A world of ${SIZE} that waits for messages`, `all ${SIZE} processes`, [
  carillon("adaptive"),
  carillon("block"),
  plainNode,
]);

/** What groups of processes use while they all wait, at the same time. */
export function waiting(id: string, title: string, whose: string, all: readonly Group[]): Row {
  return {
    id,
    title,
    about: `CPU time of ${whose} in ${SECONDS} s; in clock ticks of ${tickNs() / 1e6} ms (/proc/PID/stat) and exact (schedstat)`,
    columns: [
      { key: "cpuNs", title: "CPU ms", format: milliseconds },
      { key: "cpuTicks", title: "ticks", format: integer },
    ],
    headline: "cpuNs",
    async run(context) {
      context.progress("starting");
      const groups = all.map((group) => new Waiting(group));
      try {
        await Promise.all(groups.map((group) => group.ready()));
        await sleep(SETTLE_MS);
        for (const group of groups) group.begin();
        for (let second = 1; second <= SECONDS; second++) {
          context.progress(`second ${second} of ${SECONDS}`);
          await sleep(1_000);
          for (const group of groups) group.look();
        }
        return groups.map((group) => group.result());
      } finally {
        await Promise.all(groups.map((group) => group.stop()));
      }
    },
  };
}

/** CPU time of a group since it started. */
interface Spent {
  readonly ns: number;
  readonly ticks: number;
}

class Waiting {
  #started: ReturnType<Group["start"]> | undefined;
  #unavailable: string | undefined;
  /** What they had used when it began, and after each second. */
  readonly #spent: Spent[] = [];

  constructor(readonly group: Group) {}

  async ready(): Promise<void> {
    await this.#attempt(async () => {
      this.#started = this.group.start();
      await Promise.all(this.#started.processes.map((process) => process.line()));
    });
  }

  begin(): void {
    if (this.#unavailable === undefined) this.look();
  }

  look(): void {
    try {
      if (this.#unavailable === undefined) this.#spent.push(this.#look());
    } catch {
      this.#unavailable = "a process ended while it should have waited";
    }
  }

  result(): Result {
    const { peer, name } = this.group;
    if (this.#unavailable !== undefined) return { peer, name, unavailable: this.#unavailable };
    const [before, after] = [this.#spent[0] as Spent, this.#spent.at(-1) as Spent];
    const perSecond = this.#spent.slice(1).map(({ ns }, i) => ns - (this.#spent[i] as Spent).ns);
    return {
      peer,
      name,
      values: {
        cpuNs: after.ns - before.ns,
        cpuTicks: after.ticks - before.ticks,
        seconds: SECONDS,
        rounds: perSecond.length,
      },
      rounds: perSecond.map((ns) => ns * SECONDS), // as if it had gone on like that
    };
  }

  async stop(): Promise<void> {
    await this.#started?.stop();
  }

  async #attempt(step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (error) {
      this.#unavailable = (error as Error).message;
    }
  }

  #look(): Spent {
    let ns = 0;
    let ticks = 0;
    for (const { pid } of this.#started?.processes ?? []) {
      const own = cpuTicks(pid);
      ticks += own;
      ns += cpuExactNs(pid) ?? own * tickNs();
    }
    return { ns, ticks };
  }
}
