// How much of a transfer a computation hides (method: Denis and Trahay, ICPP 2016). L is the time of one send with a
// computation c beside it, less the acknowledgement's latency; R the one-way time of that size alone. Overhead ratio:
// (L − R)/c where c < R, else (L − c)/R; 0 is perfect overlap, 1 none. What one pass does is in peers/overlap.ts.
import { microseconds, significant } from "../harness/format.js";
import type { OverlapSide, Peer } from "../harness/peer.js";
import { type Placement, placements, threadsApart } from "../harness/placement.js";
import type { Context, Result, Row } from "../harness/row.js";
import { distribution, median } from "../harness/stats.js";
import { PeerTurn, takeTurns } from "../harness/turns.js";
import { type Size, sizes } from "./sizes.js";

/** Lengths of the computation, in units of R. */
const FACTORS = [0.5, 1, 2, 4] as const;
export const SIDES: Record<OverlapSide, string> = {
  send: "the sender computes",
  recv: "the receiver computes",
  both: "both compute",
};
/** How long a computation is that shows what everybody's code makes of it before anything counts. */
const WARM_UP_COMPUTE_NS = 1e6;
const SIZES = sizes("64KiB", "1MiB", "8MiB", "32MiB");
const SHOWN = SIZES[2] as Size;

const ECHO_PASSES = 200;
const WARM_UP_PASSES = 5;
const MIN_PASSES = 3;
const MAX_PASSES = 50;

export function overlaps(peers: readonly Peer[], quickPeers: readonly Peer[]): Row[] {
  const sides = Object.keys(SIDES) as OverlapSide[];
  const apart = threadsApart();
  const thorough = (size: Size, side: OverlapSide) => size !== SHOWN || side !== "recv";
  const rows = SIZES.flatMap((size) =>
    sides.map((side) => overlap(peers, size, side, apart, thorough(size, side), quickPeers)),
  );
  // On one CPU there is nothing to overlap with: shown once, not hoped for.
  const together = placements()[1] as Placement;
  return [...rows, overlap(peers, SHOWN, "recv", together, true)];
}

/** The receiver computes: the side that has to be interrupted; the sender where a row of its own is worth it. */
export function doorbellOverlaps(peers: readonly Peer[], reference: NonNullable<Row["reference"]>): Row[] {
  const apart = threadsApart();
  const ask = (size: Size, side: OverlapSide): Row => {
    const row = overlap(peers, size, side, apart, true);
    return { ...row, id: `doorbell-${row.id}`, title: `By doorbell: ${row.title}`, reference };
  };
  return [...SIZES.map((size) => ask(size, "recv")), ask(SHOWN, "send")];
}

function overlap(
  peers: readonly Peer[],
  size: Size,
  side: OverlapSide,
  placement: Placement,
  thorough: boolean,
  quickPeers = peers,
): Row {
  return {
    id: `overlap-${side}-${size.label}/${placement.id}`,
    title: `${size.name} while ${SIDES[side]}, ${placement.id}`,
    about: `${placement.description}; R: one way alone; overhead ratio for computations c: 0 is perfect overlap, 1 none${needs(side, placement)}`,
    placement,
    figure: { kind: "overlap", bytes: size.bytes, side },
    thorough,
    ...(side === "both" && placement.id !== "together" ? { cpus: 3 } : {}),
    columns: [
      { key: "oneWayNs", title: "R µs", format: microseconds },
      ...FACTORS.map((factor) => ({ key: `overhead${factor}`, title: `c = ${shown(factor)}`, format: significant })),
      { key: "worst", title: "worst", format: significant },
      { key: "worstP90", title: "worst p90", format: significant },
    ],
    headline: "oneWayNs",
    run: (context) =>
      takeTurns(
        (context.quick ? quickPeers : peers).map((peer) => new Overlapping(peer, size.bytes, side, placement)),
        context,
      ),
  };
}

function needs(side: OverlapSide, placement: Placement): string {
  if (placement.id === "together") return "; one CPU can only do one after the other";
  return side === "both" ? "; the copy needs a third CPU to be free of both" : "";
}

function shown(factor: number): string {
  return factor === 1 ? "R" : factor === 0.5 ? "R/2" : `${factor}R`;
}

/** One peer's way through a row. */
class Overlapping extends PeerTurn {
  /** Medians of each round, nanoseconds: a round trip of 8 bytes, the exchange alone, and beside each computation. */
  readonly #roundTrips: number[] = [];
  readonly #alone: number[] = [];
  readonly #beside = FACTORS.map((): { computation: number; total: number }[] => []);
  #wantedNs: readonly number[] = [];
  #passes: readonly number[] = [];

  constructor(
    peer: Peer,
    readonly bytes: number,
    readonly side: OverlapSide,
    placement: Placement,
  ) {
    super(peer, placement);
  }

  /** Learns how long this peer takes alone: c is a share of that. */
  override async warmUp(context: Context): Promise<void> {
    await this.#roundTrip();
    await this.#exchange(0, WARM_UP_PASSES);
    await this.median(`compute:0:${WARM_UP_COMPUTE_NS}`, WARM_UP_PASSES);
    const acknowledgement = (await this.#roundTrip()) / 2;
    const oneWay = Math.max(1, (await this.#exchange(0, WARM_UP_PASSES)) - acknowledgement);
    this.#wantedNs = FACTORS.map((factor) => Math.max(1, Math.round(oneWay * factor)));
    this.#passes = FACTORS.map((factor) => {
      const fitting = Math.round(context.batchNs / (oneWay * (1 + factor)));
      return Math.min(Math.max(fitting, MIN_PASSES), MAX_PASSES);
    });
    for (const i of FACTORS.keys()) await this.#pair(i);
  }

  override async measure(): Promise<void> {
    this.#roundTrips.push(await this.#roundTrip());
    this.#alone.push(await this.#exchange(0, this.#passes[0] ?? WARM_UP_PASSES));
    for (const [i, beside] of this.#beside.entries()) beside.push(await this.#pair(i));
  }

  /**
   * The acknowledgement and R are those of all rounds, not of each: where a message takes little more than its acknowledgement, their difference
   * in one round may be next to nothing, and what is divided by it anything. And no message of some length is faster than its acknowledgement
   * of 8 bytes, though round trips of those alone, each met by a peer that has just been awake or not, may say so.
   */
  override answer(context: Context): Pick<Result, "values" | "rounds"> {
    const acknowledgement = Math.min(median(this.#roundTrips), median(this.#alone)) / 2;
    const rounds = this.#alone.map((total) => Math.max(1, total - acknowledgement));
    const { median: oneWayNs, p10: oneWayP10Ns, p90: oneWayP90Ns } = distribution(rounds);
    const values: Record<string, number> = { oneWayNs, oneWayP10Ns, oneWayP90Ns, rounds: context.rounds };
    const overheads = FACTORS.map((factor, i) => {
      const ratios = (this.#beside[i] ?? []).map(({ total, computation }) => {
        const l = total - acknowledgement;
        return factor < 1 ? (l - oneWayNs) / computation : (l - computation) / oneWayNs;
      });
      const { median, p10, p90 } = distribution(ratios);
      Object.assign(values, {
        [`overhead${factor}`]: median,
        [`overhead${factor}P10`]: p10,
        [`overhead${factor}P90`]: p90,
      });
      return { median, p90 };
    });
    values.worst = Math.max(...overheads.map(({ median }) => median));
    values.worstP90 = Math.max(...overheads.map(({ p90 }) => p90));
    values.passes = context.rounds * this.#passes.reduce((sum, passes) => sum + passes, 0);
    return { values, rounds };
  }

  #roundTrip(): Promise<number> {
    return this.median("bytes:8", ECHO_PASSES);
  }

  #exchange(computeNs: number, passes: number): Promise<number> {
    return this.median(`${this.side}:${this.bytes}:${computeNs}`, passes);
  }

  /** A computation by itself, and an exchange beside it. */
  async #pair(i: number): Promise<{ computation: number; total: number }> {
    const [ns, passes] = [this.#wantedNs[i] ?? 0, this.#passes[i] ?? MIN_PASSES];
    return { computation: await this.median(`compute:0:${ns}`, passes), total: await this.#exchange(ns, passes) };
  }
}
