// What else went on while a row was measured: processor time of others and of the hypervisor, from /proc; and whether there
// are as many processors as the row's question needs. Not responsible for the machine as such (machine.ts).
import { readFileSync } from "node:fs";
import { tickNs } from "./cpu.js";
import { significant } from "./format.js";
import type { Machine } from "./machine.js";
import { allowedCpus } from "./placement.js";
import type { Row } from "./row.js";

export interface Conditions {
  readonly seconds: number;
  /** Processors that others used, on average, of those this process may use. */
  readonly othersCpus: number;
  /** Processors that the hypervisor gave to others. */
  readonly stolenCpus: number;
}

/** Less is what the clock ticks of two sources differ by, and what an idle system does. */
const OTHERS = 0.4;
const STOLEN = 0.02;

/** From now on, until it is asked. All processes that were started meanwhile must have ended by then: they count as one's own. */
export function watchConditions(): () => Conditions | undefined {
  const [all, own, started] = [allTicks(), ownTicks(), performance.now()];
  return () => {
    const [allNow, ownNow] = [allTicks(), ownTicks()];
    if (all === undefined || own === undefined || allNow === undefined || ownNow === undefined) return undefined;
    const seconds = (performance.now() - started) / 1e3;
    const processors = (ticks: number) => Math.max(0, (ticks * tickNs()) / 1e9 / seconds);
    return {
      seconds,
      othersCpus: processors(allNow.busy - all.busy - (ownNow - own)),
      stolenCpus: processors(allNow.stolen - all.stolen),
    };
  };
}

/** What a reader must know of a row for what went on, and for the processors there were. */
export function notesOn(row: Row, machine: Machine, conditions: Conditions | undefined): string[] {
  const notes: string[] = [];
  const [needs, has] = [
    row.cpus ?? needed(row),
    Math.min(machine.usable, machine.quotaCpus ?? Number.POSITIVE_INFINITY),
  ];
  if (needs > has) {
    notes.push(
      `this asks for ${needs} CPUs and may use ${significant(has)}: what should run at the same time takes turns`,
    );
  }
  if (conditions && conditions.othersCpus >= OTHERS) {
    notes.push(`others used ${significant(conditions.othersCpus)} CPUs of this machine meanwhile`);
  }
  if (conditions && conditions.stolenCpus >= STOLEN) {
    notes.push(`the hypervisor took ${significant(conditions.stolenCpus)} CPUs away meanwhile`);
  }
  return notes;
}

/** Two processes, unless both are pinned to one CPU. */
function needed({ placement }: Row): number {
  return placement === undefined || placement.id === "together" ? 1 : 2;
}

/** Of the processors that this process may use; others' business is none of a pinned run's. */
function allTicks(): { busy: number; stolen: number } | undefined {
  const ours = new Set(allowedCpus().map((cpu) => `cpu${cpu}`));
  const lines = read("/proc/stat")
    .split("\n")
    .map((line) => line.split(" "));
  const ticks = lines.filter(([name = ""]) => ours.has(name)).map((words) => words.slice(1).map(Number));
  if (ticks.length === 0) return undefined;
  const sum = (...fields: number[]) =>
    fields.reduce((all, i) => all + ticks.reduce((of, cpu) => of + (cpu[i] ?? 0), 0), 0);
  return { busy: sum(0, 1, 2, 5, 6), stolen: sum(7) }; // user, nice, system, irq, softirq; steal
}

/** This process, and all of its descendants that have ended and were waited for. */
function ownTicks(): number | undefined {
  const stat = read("/proc/self/stat");
  const fields = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .slice(11, 15)
    .map(Number);
  return fields.length === 4 ? fields.reduce((a, b) => a + b) : undefined;
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
