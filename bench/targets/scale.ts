// What must be shown as things get many: receives, messages, ranks.
import { integer, milliseconds, ratio, significant } from "../harness/format.js";
import type { Answers, Target } from "../harness/verdict.js";
import { depthPeer, mapPeer } from "../rows/match-depth.js";
import { sizePeer } from "../rows/scale.js";
import { MEDIAN } from "./judges.js";

const FLAT = 2;
const FEW = 10;
const MANY = 100_000;
const LARGEST = sizePeer(64);
const JOIN_NS = 3e9;
const RESIDENT_BYTES = 8 * 2 ** 20;
const PAIR_BYTES = 96 * 1024;

function world(
  id: string,
  target: string,
  judge: (value: (key: string) => number) => ReturnType<Target["judge"]>,
): Target {
  return { id, target, judge: (answers: Answers) => judge((key) => answers.value("scale", LARGEST, key)) };
}

export const scale: readonly Target[] = [
  {
    id: "match-depth",
    target: `A match beside ${integer(MANY)} others: ≤ ${FLAT}× beside ${FEW}`,
    judge(answers) {
      const slower = answers.asked("match-depth/").map((row) => {
        const times = (peer: (depth: number) => string) =>
          answers.value(row, peer(MANY), MEDIAN) / answers.value(row, peer(FEW), MEDIAN);
        return { pattern: row.split("/")[1], times: times(depthPeer), map: times(mapPeer) };
      });
      const measured = slower
        .map(({ pattern, times, map }) => `${pattern} ${ratio(times)} (a Map of Promises ${ratio(map)})`)
        .join(", ");
      return { measured, met: slower.every(({ times }) => times <= FLAT) };
    },
  },
  world("scale-join", "64 ranks join: < 3 s beyond Node's own start", (value) => {
    const ns = value("joinNs");
    return { measured: `${milliseconds(ns)} ms`, met: ns < JOIN_NS };
  }),
  world("scale-resident", "A rank of 64: < 8 MiB of resident memory beyond bare Node", (value) => {
    const bytes = value("residentBytes");
    return { measured: `${significant(bytes / 2 ** 20)} MiB`, met: bytes < RESIDENT_BYTES };
  }),
  // Idle again, not idle ever since: pages that have been used are not given back.
  world("scale-pair", "An idle pair of 64 ranks, after use: < 96 KiB", (value) => {
    const [unused, used] = [value("pairBytes"), value("usedPairBytes")];
    const measured = `${significant(used / 1024)} KiB (${significant(unused / 1024)} before)`;
    return { measured, met: used < PAIR_BYTES };
  }),
];
