// What a rank costs as worlds grow: time to join beyond Node's own start, resident memory beyond bare Node, memory of an
// idle pair, and the time of an all-to-all. Memory is read from outside, of as many processes at each stage.
import { fileURLToPath } from "node:url";
import { kibibytes, mebibytes, milliseconds } from "../harness/format.js";
import { type Memory, memoryOf } from "../harness/memory.js";
import { LineProcess } from "../harness/process.js";
import type { Context, Result, Row } from "../harness/row.js";
import { distribution, median } from "../harness/stats.js";
import { startRanks } from "../peers/carillon.js";

const SIZES = [2, 8, 32, 64] as const;
const REPETITIONS = 3;
const ALL_TO_ALL_TURNS = 5;
const ALL_TO_ALL_BYTES = 1_024;
/** Of fewer, what a heap happens to have would be most of the figure. */
const FEWEST_PAIRS = 400;
const PROGRAM = "scale-program.js";

/** How far the processes of a group go: nothing of Carillon, its import, worlds of one, one world. */
type Stage = "bare" | "import" | "alone" | "join";

/** Of every process of every repetition. */
type Memories = Record<"bare" | "alone" | "aloneUsed" | "joined" | "joinedUsed", Memory[]>;

interface Group {
  readonly processes: readonly LineProcess[];
  stop(): Promise<unknown>;
}

export const sizePeer = (size: number): string => `ranks-${size}`;

export const scale: Row = {
  id: "scale",
  title: "A world of 2, 8, 32, 64 ranks",
  about: `join: until all have joined, beyond as many processes that only import; memory beyond bare Node (resident: median rank; pair: all Pss and page tables beyond worlds of one, over pairs; after use: after all-to-alls of ${ALL_TO_ALL_BYTES} B, and as many messages to oneself)`,
  columns: [
    { key: "joinNs", title: "join ms", format: milliseconds },
    { key: "startNs", title: "Node's start ms", format: milliseconds },
    { key: "residentBytes", title: "MiB/rank", format: mebibytes },
    { key: "pairBytes", title: "KiB/pair", format: kibibytes },
    { key: "usedPairBytes", title: "after use", format: kibibytes },
    { key: "allToAllNs", title: "all-to-all ms", format: milliseconds },
    { key: "allToAllP90Ns", title: "p90", format: milliseconds },
  ],
  headline: "joinNs",
  thorough: true,
  reference: { peer: sizePeer(SIZES[0]), title: `${SIZES[0]} ranks` },
  async run(context) {
    const results: Result[] = [];
    for (const size of SIZES) {
      const peer = sizePeer(size);
      const name = `${size} ranks`;
      try {
        results.push({ peer, name, ...(await measure(size, context)) });
      } catch (error) {
        results.push({ peer, name, unavailable: (error as Error).message });
      }
    }
    return results;
  },
};

async function measure(size: number, context: Context): Promise<Pick<Result, "values" | "rounds">> {
  const repetitions = context.quick ? 1 : REPETITIONS;
  const starts: number[] = [];
  const joins: number[] = [];
  const exchanges: number[] = [];
  const memory: Memories = { bare: [], alone: [], aloneUsed: [], joined: [], joinedUsed: [] };
  for (let i = 1; i <= repetitions; i++) {
    const run = async (stage: Stage, then: (group: Group, ns: number) => void | Promise<void>) => {
      context.progress(`${size} processes, ${stage}, ${i} of ${repetitions}`);
      await withGroup(stage, size, then);
    };
    await run("bare", (group) => void memory.bare.push(...memories(group)));
    await run("import", (_, ns) => void starts.push(ns));
    await run("alone", async (group) => {
      memory.alone.push(...memories(group));
      for (let turn = 0; turn < ALL_TO_ALL_TURNS; turn++) await allToAll(group);
      memory.aloneUsed.push(...memories(group));
    });
    await run("join", async (group, ns) => {
      joins.push(ns);
      memory.joined.push(...memories(group));
      for (let turn = 0; turn < ALL_TO_ALL_TURNS; turn++) exchanges.push(await allToAll(group));
      memory.joinedUsed.push(...memories(group));
    });
  }
  const resident = (group: readonly Memory[]) => median(group.map(({ residentBytes }) => residentBytes));
  const pairs = (size * (size - 1)) / 2;
  const perPair = (joined: readonly Memory[], alone: readonly Memory[]) =>
    pairs < FEWEST_PAIRS ? Number.NaN : (jobBytes(joined) - jobBytes(alone)) / (pairs * repetitions);
  const exchange = distribution(exchanges);
  const join = distribution(joins);
  const values = {
    joinNs: join.median - median(starts),
    joinP10Ns: join.p10 - median(starts),
    joinP90Ns: join.p90 - median(starts),
    startNs: median(starts),
    residentBytes: resident(memory.joined) - resident(memory.bare),
    usedResidentBytes: resident(memory.joinedUsed) - resident(memory.bare),
    shareBytes: (jobBytes(memory.joined) - jobBytes(memory.bare)) / memory.joined.length,
    pairBytes: perPair(memory.joined, memory.alone),
    usedPairBytes: perPair(memory.joinedUsed, memory.aloneUsed),
    allToAllNs: exchange.median,
    allToAllP10Ns: exchange.p10,
    allToAllP90Ns: exchange.p90,
    rounds: repetitions,
    passes: exchanges.length,
  };
  return { values, rounds: joins.map((ns) => ns - median(starts)) };
}

/** @param then told how long it took from the first start until every process was ready */
async function withGroup(
  stage: Stage,
  size: number,
  then: (group: Group, ns: number) => void | Promise<void>,
): Promise<void> {
  const start = performance.now();
  const group =
    stage === "join" ? startRanks({ size, wait: "adaptive", program: PROGRAM, args: ["join"] }) : plain(stage, size);
  try {
    await Promise.all(group.processes.map((process) => process.line()));
    await then(group, (performance.now() - start) * 1e6);
  } finally {
    await group.stop();
  }
}

function plain(stage: Exclude<Stage, "join">, size: number): Group {
  const program = fileURLToPath(new URL(`../peers/${PROGRAM}`, import.meta.url));
  const command = [process.execPath, program, stage === "alone" ? "join" : stage];
  const processes = Array.from({ length: size }, () => new LineProcess(command));
  return { processes, stop: () => Promise.all(processes.map((process) => process.stop())) };
}

function memories({ processes }: Group): Memory[] {
  return processes.map(({ pid }) => memoryOf(pid));
}

/** What all of them take together, every page counted once. */
function jobBytes(group: readonly Memory[]): number {
  return group.reduce((sum, { shareBytes, tableBytes }) => sum + shareBytes + tableBytes, 0);
}

/** From the first rank that begins to the last that has everything, on the clock that all of them share. */
async function allToAll({ processes }: Group): Promise<number> {
  const answers = await Promise.all(
    processes.map((process) => process.ask(`alltoall ${ALL_TO_ALL_BYTES} ${processes.length}`)),
  );
  const times = answers.map((answer) => answer.split(" ").map(Number) as [number, number]);
  return Math.max(...times.map(([, end]) => end)) - Math.min(...times.map(([begin]) => begin));
}
