// How much of a transfer a computation hides (method: Denis and Trahay, ICPP 2016). L is the time of one send with a
// computation c beside it, less the acknowledgement's latency; R the one-way time of that size alone. Overhead ratio:
// (L − R)/c where c < R, else (L − c)/R; 0 is perfect overlap, 1 none. What one pass does is in peers/overlap.ts.
import { microseconds, significant } from "../harness/format.js";
import type { OverlapSide, Peer } from "../harness/peer.js";
import { type Placement, placements, threadsApart } from "../harness/placement.js";
import type { Context, Result, Row } from "../harness/row.js";
import { distribution } from "../harness/stats.js";
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
  /** Nanoseconds of each round. */
  readonly #oneWay: number[] = [];
  readonly #overheads = FACTORS.map((): number[] => []);
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
    await this.median("bytes:8", ECHO_PASSES);
    await this.median(`${this.side}:${this.bytes}:0`, WARM_UP_PASSES);
    await this.median(`compute:0:${WARM_UP_COMPUTE_NS}`, WARM_UP_PASSES);
    const alone = await this.#alone();
    this.#wantedNs = FACTORS.map((factor) => Math.max(1, Math.round(alone.oneWay * factor)));
    this.#passes = FACTORS.map((factor) => {
      const fitting = Math.round(context.batchNs / (alone.oneWay * (1 + factor)));
      return Math.min(Math.max(fitting, MIN_PASSES), MAX_PASSES);
    });
    for (const i of FACTORS.keys()) await this.#pair(i);
  }

  override async measure(): Promise<void> {
    const { oneWay, acknowledgement } = await this.#alone();
    this.#oneWay.push(oneWay);
    for (const [i, factor] of FACTORS.entries()) {
      const { total, computation } = await this.#pair(i);
      const l = total - acknowledgement;
      const ratio = factor < 1 ? (l - oneWay) / computation : (l - computation) / oneWay;
      this.#overheads[i]?.push(ratio);
    }
  }

  override answer(context: Context): Pick<Result, "values" | "rounds"> {
    const { median: oneWayNs, p10: oneWayP10Ns, p90: oneWayP90Ns } = distribution(this.#oneWay);
    const overheads = this.#overheads.map(distribution);
    const values: Record<string, number> = { oneWayNs, oneWayP10Ns, oneWayP90Ns, rounds: context.rounds };
    for (const [i, factor] of FACTORS.entries()) {
      values[`overhead${factor}`] = overheads[i]?.median ?? Number.NaN;
      values[`overhead${factor}P10`] = overheads[i]?.p10 ?? Number.NaN;
      values[`overhead${factor}P90`] = overheads[i]?.p90 ?? Number.NaN;
    }
    values.worst = Math.max(...overheads.map(({ median }) => median));
    values.worstP90 = Math.max(...overheads.map(({ p90 }) => p90));
    values.passes = context.rounds * this.#passes.reduce((sum, passes) => sum + passes, 0);
    return { values, rounds: this.#oneWay };
  }

  /** R and the latency of an acknowledgement: half of a round trip. */
  async #alone(): Promise<{ oneWay: number; acknowledgement: number }> {
    const acknowledgement = (await this.median("bytes:8", ECHO_PASSES)) / 2;
    const total = await this.median(`${this.side}:${this.bytes}:0`, this.#passes[0] ?? WARM_UP_PASSES);
    return { oneWay: Math.max(1, total - acknowledgement), acknowledgement };
  }

  /** A transfer with a computation beside it, and that computation by itself. */
  async #pair(i: number): Promise<{ total: number; computation: number }> {
    const [ns, passes] = [this.#wantedNs[i] ?? 0, this.#passes[i] ?? MIN_PASSES];
    const computation = await this.median(`compute:0:${ns}`, passes);
    return { total: await this.median(`${this.side}:${this.bytes}:${ns}`, passes), computation };
  }
}
