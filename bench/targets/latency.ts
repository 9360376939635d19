// What must be shown of single messages: how soon they are there, and what waiting for them costs.
import { tickNs } from "../harness/cpu.js";
import { milliseconds, ratio, significant } from "../harness/format.js";
import type { Answers, Target } from "../harness/verdict.js";
import { wakePeer } from "../rows/wake-up.js";
import { ADAPTIVE, BLOCK, faster, MEDIAN, within } from "./judges.js";

/** Two medians this close are the same. */
const NOISE = 0.05;
const REACTION_NS = 20e6;
const HOPS = 3;

/** Every single send, in every placement that could be measured. */
function reacts(where: "timer" | "socket"): Target {
  return {
    id: `reaction-${where}`,
    target: `1 MiB to a receiver computing in a ${where} callback, slowest: < 20 ms`,
    judge(answers: Answers) {
      const rows = answers.asked(`reaction-${where}/`);
      const slowest = rows.map((row) => ({ row, value: answers.value(row, ADAPTIVE, "maxNs") }));
      const parts = slowest.map(({ row, value }) => `${row.split("/")[1]} ${milliseconds(value)} ms`);
      return { measured: parts.join(", "), met: slowest.every(({ value }) => value < REACTION_NS) };
    },
  };
}

export const latency: readonly Target[] = [
  faster(
    "apart-adaptive",
    "8 B, two cores, carillon: ≥ 30× faster than IPC, socket, zeromq",
    "roundtrip-8B/apart",
    ADAPTIVE,
    30,
  ),
  faster(
    "free-adaptive",
    "8 B, not pinned, carillon: ≥ 3× faster than IPC, socket, zeromq",
    "roundtrip-8B/free",
    ADAPTIVE,
    3,
  ),
  within(
    "free-block",
    "8 B, not pinned, carillon: never slower than wait: block (± 5 %)",
    "roundtrip-8B/free",
    ADAPTIVE,
    BLOCK,
    1 + NOISE,
  ),
  faster(
    "together-block",
    "8 B, one core, wait: block: ≥ 2× faster than IPC, socket, zeromq",
    "roundtrip-8B/together",
    BLOCK,
    2,
  ),
  within(
    "apart-block",
    "8 B, two cores, wait: block: ≤ 1.3× C eventfd + epoll",
    "roundtrip-8B/apart",
    BLOCK,
    "c-eventfd",
    1.3,
  ),
  {
    id: "queue-wake",
    target: `A message to a thread blocked in take(): ≤ ${HOPS}× (Atomics hop + bell)`,
    judge(answers) {
      const [row = ""] = answers.asked("queue-wake/");
      const [take, bell, hop] = (["idle", "bell", "hop"] as const).map((way) =>
        answers.value(row, wakePeer(way), MEDIAN),
      );
      const times = (take as number) / ((bell as number) + (hop as number));
      const [t, b, h] = [take, bell, hop].map((ns) => significant((ns as number) / 1e3));
      return { measured: `${ratio(times)} (${t} µs; bell ${b}, hop ${h})`, met: times <= HOPS };
    },
  },
  reacts("timer"),
  reacts("socket"),
  {
    id: "idle",
    target: "A world of 4 that waits 5 s: no measurable CPU (< 1 clock tick, all ranks)",
    judge(answers) {
      const modes = [ADAPTIVE, BLOCK].map((peer) => answers.value("idle", peer, "cpuNs"));
      return {
        measured: modes.map((ns) => `${milliseconds(ns)} ms`).join(", block "),
        met: modes.every((ns) => ns < tickNs()),
      };
    },
  },
];
