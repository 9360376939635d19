// Rows in which two processes pass messages, there and back or one way: one builder for all of them.
import { integer, microseconds, nanoseconds, significant } from "../harness/format.js";
import { interleave, type Measured } from "../harness/interleave.js";
import type { Peer, Workload } from "../harness/peer.js";
import type { Placement } from "../harness/placement.js";
import type { Column, Context, Figure, Result, Row } from "../harness/row.js";
import { distribution, median } from "../harness/stats.js";

interface Passing {
  readonly id: string;
  readonly title: string;
  readonly about: string;
  readonly workload: Workload;
  readonly peers: readonly Peer[];
  readonly figure?: Figure;
}

/** One way, messages of a size. */
interface Streaming extends Passing {
  readonly bytes: number;
  readonly minNs?: number;
  readonly warmUpNs?: number;
  readonly thorough?: boolean;
}

/** More than this share of a core while others are measured is said beside the figure. */
const DISTURBING_SHARE = 0.01;

const TIMES: readonly Column[] = [
  { key: "medianNs", title: "median µs", format: microseconds },
  { key: "p10Ns", title: "p10", format: microseconds },
  { key: "p90Ns", title: "p90", format: microseconds },
  { key: "p99Ns", title: "p99", format: microseconds },
];
const CPU: Column = { key: "cpuSecondsPerMillion", title: "CPU s/M", format: significant };
const PASSES: Column = { key: "passes", title: "passes", format: integer };

/** There and back, every round trip timed, and whole batches besides. */
export function roundTrip(row: Passing, placement: Placement): Row {
  return {
    ...frame(row, placement),
    columns: [...TIMES, { key: "batchMedianNs", title: "per batch", format: microseconds }, CPU, PASSES],
    async run(context) {
      const measured = await interleave({ ...row, placement, individually: true }, context);
      return measured.map((one) => {
        const passes = one.each.flat();
        const values = { ...times(passes), batchMedianNs: median(one.batches), ...cost(one), passes: passes.length };
        return result(one, values, one.each.map(median), context);
      });
    },
  };
}

/** One way: the receiver has the bytes when a batch ends; the distribution is that of the batches. */
export function oneWay(row: Streaming, placement: Placement): Row {
  const rate: Column = { key: "gigabytesPerSecond", title: "GB/s", format: significant };
  return batches(row, placement, [...TIMES.slice(0, 3), rate, CPU]);
}

/** One way, messages so short that their number is the question. */
export function messageRate(row: Streaming, placement: Placement): Row {
  const [first, ...rest] = TIMES.slice(0, 3).map((column) => ({ ...column, format: nanoseconds }));
  const rate: Column = { key: "millionsPerSecond", title: "M/s", format: significant };
  return batches(row, placement, [{ ...(first as Column), title: "median ns" }, ...rest, rate, CPU]);
}

function batches(row: Streaming, placement: Placement, columns: readonly Column[]): Row {
  return {
    ...frame(row, placement),
    columns,
    ...(row.thorough ? { thorough: true } : {}),
    async run(context) {
      const measured = await interleave({ ...row, placement, individually: false }, context);
      return measured.map((one) => {
        const perMessage = median(one.batches);
        const rates = { gigabytesPerSecond: row.bytes / perMessage, millionsPerSecond: 1e3 / perMessage };
        return result(one, { ...times(one.batches), ...rates, ...cost(one) }, one.batches, context);
      });
    },
  };
}

function frame(
  row: Passing,
  placement: Placement,
): Pick<Row, "id" | "title" | "about" | "placement" | "figure" | "headline"> {
  return {
    id: `${row.id}/${placement.id}`,
    title: `${row.title}, ${placement.id}`,
    about: `${placement.description}; ${row.about}`,
    placement,
    ...(row.figure ? { figure: row.figure } : {}),
    headline: "medianNs",
  };
}

function times(values: readonly number[]): Record<string, number> {
  const { median, p10, p90, p99, max } = distribution(values);
  return { medianNs: median, p10Ns: p10, p90Ns: p90, p99Ns: p99, maxNs: max };
}

function cost(one: Measured): Record<string, number> {
  // Nanoseconds per pass are milliseconds per million; a million passes, in seconds.
  return { cpuSecondsPerMillion: one.cpuNsPerPass / 1e3, idleShare: one.idleShare };
}

function result(one: Measured, values: Record<string, number>, rounds: readonly number[], context: Context): Result {
  const { id: peer, name } = one.peer;
  if (one.unavailable !== undefined) return { peer, name, unavailable: one.unavailable };
  const share = Math.round(one.idleShare * 100);
  const note = one.idleShare > DISTURBING_SHARE ? { note: `used ${share} % of a core while others were measured` } : {};
  return { peer, name, values: { ...values, rounds: context.rounds }, rounds, ...note };
}
