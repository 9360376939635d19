// What the experiment must show of the doorbells.
import { tickNs } from "../harness/cpu.js";
import { microseconds, milliseconds, ratio, significant } from "../harness/format.js";
import type { Target } from "../harness/verdict.js";
import { EVENTFD, SIGNAL } from "../peers/doorbells.js";
import { MEDIAN } from "./judges.js";

const REACTION = "doorbell-reaction/computing";
const MOST_TIMES = 1.5;
const MOST_OVERHEAD = 0.1;
const LARGE = /-(8MiB|32MiB)\//;
const POLL = "doorbell-poll";

function reacts(kind: string, peer: string, bare: string): Target {
  return {
    id: `doorbell-reaction-${kind}`,
    target: `Computing receiver, ${kind}: reaction ≤ ${MOST_TIMES}× bare C`,
    judge(answers) {
      const [own, bound] = [answers.value(REACTION, peer, MEDIAN), answers.value(REACTION, bare, MEDIAN)];
      const p99 = answers.value(REACTION, peer, "p99Ns");
      const measured = `${ratio(own / bound)} (${microseconds(own)} µs, p99 ${microseconds(p99)}; ${microseconds(bound)} µs)`;
      return { measured, met: own / bound <= MOST_TIMES };
    },
  };
}

export const doorbells: readonly Target[] = [
  reacts("signal", SIGNAL, "c-reaction-signal"),
  reacts("eventfd", EVENTFD, "c-reaction-eventfd"),
  {
    id: "doorbell-overlap",
    target: `8 MiB and more, every doorbell: overhead ratio ≤ ${MOST_OVERHEAD}`,
    judge(answers) {
      const rows = answers.asked("doorbell-overlap-").filter((row) => LARGE.test(row));
      if (rows.length === 0) throw new Error("no such size was measured");
      const worst = new Map<string, number>();
      for (const { name, values } of rows.flatMap((row) => answers.ran(row))) {
        worst.set(name, Math.max(worst.get(name) ?? 0, values?.worst ?? Number.NaN));
      }
      if (worst.size === 0) throw new Error("no doorbell ran, see above");
      const measured = [...worst].map(([name, value]) => `${name} ${significant(value)}`).join(", ");
      return { measured, met: [...worst.values()].every((value) => value <= MOST_OVERHEAD) };
    },
  },
  {
    id: "doorbell-idle",
    target: "Two ranks that wait 5 s: no measurable CPU (< 1 clock tick) but with poll",
    judge(answers) {
      const times = answers
        .ran("doorbell-idle")
        .map(({ peer, name, values }) => ({ peer, name, ns: values?.cpuNs ?? Number.NaN }));
      if (times.length === 0) throw new Error("no doorbell ran, see above");
      const measured = times.map(({ name, ns }) => `${name} ${milliseconds(ns)} ms`).join(", ");
      return { measured, met: times.every(({ peer, ns }) => peer === POLL || ns < tickNs()) };
    },
  },
];
