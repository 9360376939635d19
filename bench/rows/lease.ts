// Leased memory handed from rank to rank: what it takes must not depend on the size. Native hand-over and what JavaScript
// adds to it (an ArrayBuffer over the memory, which V8 makes) are two rows.
import { microseconds } from "../harness/format.js";
import { type Placement, pinMainThreads, threadsApart } from "../harness/placement.js";
import type { LineProcess } from "../harness/process.js";
import type { Column, Context, Result, Row } from "../harness/row.js";
import { distribution, median } from "../harness/stats.js";
import { startRanks } from "../peers/carillon.js";
import type { LeaseTimes } from "../peers/lease-program.js";

const MEBIBYTES = [1, 16, 64, 256] as const;
const WARM_UP_PASSES = 20;
const PASSES = 50;

export const leasePeer = (mebibytes: number): string => `lease-${mebibytes}MiB`;

export function leases(): Row[] {
  const apart = threadsApart(); // V8 collects what such buffers weigh, beside JavaScript
  const columns = (key: keyof LeaseTimes, title: string): Column[] => [
    { key: `${key}Ns`, title, format: microseconds },
    { key: `${key}P10Ns`, title: "p10", format: microseconds },
    { key: `${key}P90Ns`, title: "p90", format: microseconds },
    { key: `${key}P99Ns`, title: "p99", format: microseconds },
  ];
  const common = {
    placement: apart,
    thorough: true,
    reference: { peer: leasePeer(MEBIBYTES[0]), title: `${MEBIBYTES[0]} MiB` },
  };
  return [
    {
      ...common,
      id: "lease-hand-over",
      title: `A lease handed over, natively, ${apart.id}`,
      about: `${apart.description}; from the loan to the receiver's mapping, in native code, both awake, after a collection; memory that is used again`,
      columns: columns("handOver", "hand-over µs"),
      headline: "handOverNs",
      run: (context: Context) => measure(apart, context, "handOver"),
    },
    {
      ...common,
      id: "lease-wrapper",
      title: `A lease in JavaScript, ${apart.id}`,
      about: `${apart.description}; from before \`send\` to after \`await recv\`, and of that the receiver's ArrayBuffer; \`allocate\` and \`release\` in full`,
      columns: [
        ...columns("whole", "send → recv µs"),
        { key: "wrapNs", title: "ArrayBuffer", format: microseconds },
        { key: "allocateNs", title: "allocate", format: microseconds },
        { key: "releaseNs", title: "release", format: microseconds },
      ],
      headline: "wholeNs",
      run: (context: Context) => measure(apart, context, "whole"),
    },
  ];
}

/** @param headline what the rounds are told of */
async function measure(placement: Placement, context: Context, headline: keyof LeaseTimes): Promise<Result[]> {
  const names = MEBIBYTES.map((mebibytes) => ({ peer: leasePeer(mebibytes), name: `${mebibytes} MiB` }));
  const rounds = MEBIBYTES.map((): LeaseTimes[] => []);
  let ranks: ReturnType<typeof startRanks> | undefined;
  try {
    if (placement.unavailable !== undefined) throw new Error(placement.unavailable);
    ranks = startRanks({ size: 2, wait: "adaptive", program: "lease-program.js", placement });
    await Promise.all(ranks.processes.map((process) => process.line()));
    pinMainThreads(
      placement,
      ranks.processes.map((process) => process.pid),
    );
    const sender = ranks.processes[0] as LineProcess;
    const ask = async (mebibytes: number, count: number): Promise<LeaseTimes> =>
      JSON.parse(await sender.ask(`lease ${mebibytes * 2 ** 20} ${count}`));
    for (const mebibytes of MEBIBYTES) await ask(mebibytes, WARM_UP_PASSES);
    for (let round = 1; round <= context.rounds; round++) {
      context.progress(`round ${round} of ${context.rounds}`);
      for (const [i, mebibytes] of MEBIBYTES.entries()) rounds[i]?.push(await ask(mebibytes, PASSES));
    }
  } catch (error) {
    return names.map((name) => ({ ...name, unavailable: (error as Error).message }));
  } finally {
    await ranks?.stop();
  }
  return names.map((name, i) => result(name, rounds[i] ?? [], headline, placement));
}

function result(
  name: Pick<Result, "peer" | "name">,
  rounds: readonly LeaseTimes[],
  headline: keyof LeaseTimes,
  { note }: Placement,
): Result {
  // Every other one: what is timed natively, and what is timed in JavaScript.
  const passes = rounds.reduce((sum, { whole }) => sum + whole.length, 0);
  const values: Record<string, number> = { rounds: rounds.length, passes };
  for (const key of ["handOver", "whole", "wrap", "allocate", "release"] as const) {
    const { median, p10, p90, p99 } = distribution(rounds.flatMap((times) => times[key]));
    Object.assign(values, {
      [`${key}Ns`]: median,
      [`${key}P10Ns`]: p10,
      [`${key}P90Ns`]: p90,
      [`${key}P99Ns`]: p99,
    });
  }
  return { ...name, values, rounds: rounds.map((times) => median(times[headline])), ...(note ? { note } : {}) };
}
