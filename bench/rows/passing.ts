// Rows in which two processes pass messages, there and back or one way: one builder for all of them.
import { integer, microseconds, nanoseconds, significant } from "../harness/format.js";
import { interleave, type Length } from "../harness/interleave.js";
import { availableMemory } from "../harness/memory.js";
import type { Peer, Workload } from "../harness/peer.js";
import type { Placement } from "../harness/placement.js";
import type { Column, Context, Figure, Row } from "../harness/row.js";
import { median } from "../harness/stats.js";
import { cost, result, times } from "./measured.js";

interface Passing {
  readonly id: string;
  readonly title: string;
  readonly about: string;
  readonly workload: Workload;
  readonly peers: readonly Peer[];
  /** Of a quick run; default: all of them. */
  readonly quickPeers?: readonly Peer[];
  readonly figure?: Figure;
  readonly length?: Partial<Length>;
  readonly thorough?: boolean;
}

/** One way, messages of a size. */
interface Streaming extends Passing {
  readonly bytes: number;
  /** About, of each peer, where it is worth a look before all of them are started. */
  readonly memoryPerPeer?: number;
}

const TIMES: readonly Column[] = [
  { key: "medianNs", title: "median µs", format: microseconds },
  { key: "p10Ns", title: "p10", format: microseconds },
  { key: "p90Ns", title: "p90", format: microseconds },
  { key: "p99Ns", title: "p99", format: microseconds },
];
const CPU: Column = { key: "cpuSecondsPerMillion", title: "CPU s/M", format: significant };
const PASSES: Column = { key: "passes", title: "passes", format: integer };

/** Others need memory, too. */
const SHARE_OF_MEMORY = 0.5;

/** There and back, every round trip timed, and whole batches besides. */
export function roundTrip(row: Passing, placement: Placement): Row {
  return {
    ...frame(row, placement),
    columns: [...TIMES, { key: "batchMedianNs", title: "per batch", format: microseconds }, CPU, PASSES],
    async run(context) {
      const measured = await interleave(
        { ...row, peers: peersOf(row, context), placement, individually: true },
        context,
      );
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
    async run(context) {
      const peers = withinMemory(peersOf(row, context), row.memoryPerPeer ?? 0);
      const measured = await interleave({ ...row, peers, placement, individually: false }, context);
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
): Pick<Row, "id" | "title" | "about" | "placement" | "figure" | "headline" | "thorough"> {
  return {
    id: `${row.id}/${placement.id}`,
    title: `${row.title}, ${placement.id}`,
    about: `${placement.description}; ${row.about}`,
    placement,
    ...(row.figure ? { figure: row.figure } : {}),
    headline: "medianNs",
    ...(row.thorough ? { thorough: true } : {}),
  };
}

function peersOf(row: Passing, { quick }: Context): readonly Peer[] {
  return (quick && row.quickPeers) || row.peers;
}

/** All of them are there at the same time: those that would not fit say so instead of making the machine swap. */
function withinMemory(peers: readonly Peer[], each: number): readonly Peer[] {
  const available = availableMemory() * SHARE_OF_MEMORY;
  const fitting = Math.floor(available / Math.max(each, 1));
  const gibibytes = (bytes: number) => significant(bytes / 2 ** 30);
  return peers.map((peer, i) => {
    if (i < fitting) return peer;
    const reason = `${i + 1} peers would need ${gibibytes((i + 1) * each)} GiB of memory; ${gibibytes(available)} GiB, half of what is available, are all that is used`;
    return { ...peer, start: () => Promise.reject(new Error(reason)) };
  });
}
