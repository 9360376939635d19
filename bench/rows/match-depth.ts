// What a match costs when much is posted or much waits: the cost must not depend on how much. Each depth is a process of its
// own, measured in turn with the others.
import { fileURLToPath } from "node:url";
import { integer, nanoseconds, significant } from "../harness/format.js";
import { interleave } from "../harness/interleave.js";
import type { MatchPattern, Peer } from "../harness/peer.js";
import { LineProcess } from "../harness/process.js";
import type { Row } from "../harness/row.js";
import { openSession } from "../harness/session.js";
import { cost, result, times } from "./measured.js";

const DEPTHS = [10, 1_000, 100_000] as const;
/** The first batch also posts, or sends, everything; this many passes make the others long enough. */
const LEAST_PASSES = 2_000;

const PATTERNS: Record<MatchPattern, string> = {
  "posted-last": "the matching receive is posted last",
  "posted-any": "receives are matched in no particular order",
  "unexpected-behind": "the message is behind those of other tags",
  "unexpected-any": "waiting messages are received in no particular order",
};

export const depthPeer = (depth: number): string => `depth-${depth}`;
/** The same in a Map of Promises: how much of it is V8's. */
export const mapPeer = (depth: number): string => `map-${depth}`;

export const matchDepth: readonly Row[] = (Object.keys(PATTERNS) as MatchPattern[]).map((pattern) => ({
  id: `match-depth/${pattern}`,
  title: `A match beside many ${pattern.startsWith("posted") ? "posted receives" : "unexpected messages"}: ${PATTERNS[pattern]}`,
  about: "every one has a tag of its own; send to oneself and receive it, awaiting both; time per message",
  columns: [
    { key: "medianNs", title: "median ns", format: nanoseconds },
    { key: "p10Ns", title: "p10", format: nanoseconds },
    { key: "p90Ns", title: "p90", format: nanoseconds },
    { key: "cpuSecondsPerMillion", title: "CPU s/M", format: significant },
  ],
  headline: "medianNs",
  thorough: pattern !== "posted-last",
  reference: { peer: depthPeer(DEPTHS[0]), title: `${DEPTHS[0]}` },
  async run(context) {
    const question = {
      peers: [...DEPTHS.map((depth) => atDepth(depth)), ...DEPTHS.map((depth) => atDepth(depth, "map"))],
      workload: pattern,
      placement: { id: "free", description: "not pinned" },
      individually: false,
      length: { passes: LEAST_PASSES },
    } as const;
    const measured = await interleave(question, context);
    return measured.map((one) => result(one, { ...times(one.batches), ...cost(one) }, one.batches, context));
  },
}));

function atDepth(depth: number, map?: "map"): Peer {
  return {
    id: map ? mapPeer(depth) : depthPeer(depth),
    name: `${map ? "a Map of Promises, " : ""}${integer(depth)} others`,
    start() {
      const program = fileURLToPath(new URL("../peers/match-program.js", import.meta.url));
      return openSession([new LineProcess([process.execPath, program, String(depth), ...(map ? [map] : [])])]);
    },
  };
}
