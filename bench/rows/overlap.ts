// How much of a transfer a computation hides (method: Denis and Trahay, ICPP 2016). L is the time of one send with a
// computation c beside it, less the acknowledgement's latency; R the one-way time of that size alone. Overhead ratio:
// (L − R)/c where c < R, else (L − c)/R; 0 is perfect overlap, 1 none. What one pass does is in peers/overlap.ts.
import { microseconds, significant } from "../harness/format.js";
import type { OverlapSide, Peer, Session, Workload } from "../harness/peer.js";
import { type Placement, placements, threadsApart } from "../harness/placement.js";
import type { Context, Result, Row } from "../harness/row.js";
import { distribution, median } from "../harness/stats.js";

/** Lengths of the computation, in units of R. */
const FACTORS = [0.5, 1, 2, 4] as const;
const SIDES: Record<OverlapSide, string> = {
  send: "the sender computes",
  recv: "the receiver computes",
  both: "both compute",
};
const MEBIBYTE = 2 ** 20;
const SIZES = [
  { label: "64KiB", name: "64 KiB", bytes: MEBIBYTE / 16, thorough: true },
  { label: "1MiB", name: "1 MiB", bytes: MEBIBYTE, thorough: true },
  { label: "8MiB", name: "8 MiB", bytes: 8 * MEBIBYTE, thorough: false },
  { label: "32MiB", name: "32 MiB", bytes: 32 * MEBIBYTE, thorough: true },
] as const;
type Size = (typeof SIZES)[number];

const ECHO_PASSES = 200;
const WARM_UP_PASSES = 5;
const MIN_PASSES = 3;
const MAX_PASSES = 50;

export function overlaps(peers: readonly Peer[]): Row[] {
  const apart = threadsApart();
  const sides = Object.keys(SIDES) as OverlapSide[];
  const rows = SIZES.flatMap((size) => sides.map((side) => overlap(peers, size, side, apart, size.thorough)));
  // On one CPU there is nothing to overlap with: shown once, not hoped for.
  const together = placements()[1] as Placement;
  return [...rows, overlap(peers, SIZES[2], "recv", together, true)];
}

/** The receiver computes: the side that has to be interrupted; the sender where a row of its own is worth it. */
export function doorbellOverlaps(peers: readonly Peer[], reference: NonNullable<Row["reference"]>): Row[] {
  const apart = threadsApart();
  const ask = (size: Size, side: OverlapSide): Row => {
    const row = overlap(peers, size, side, apart, true);
    return { ...row, id: `doorbell-${row.id}`, title: `By doorbell: ${row.title}`, reference };
  };
  return [...SIZES.map((size) => ask(size, "recv")), ask(SIZES[2], "send")];
}

function overlap(peers: readonly Peer[], size: Size, side: OverlapSide, placement: Placement, thorough: boolean): Row {
  return {
    id: `overlap-${side}-${size.label}/${placement.id}`,
    title: `${size.name} while ${SIDES[side]}, ${placement.id}`,
    about: `${placement.description}; R: one way alone; overhead ratio for computations c: 0 is perfect overlap, 1 none${needs(side, placement)}`,
    placement,
    figure: { kind: "overlap", bytes: size.bytes, side },
    thorough,
    columns: [
      { key: "oneWayNs", title: "R µs", format: microseconds },
      ...FACTORS.map((factor) => ({ key: `overhead${factor}`, title: `c = ${shown(factor)}`, format: significant })),
      { key: "worst", title: "worst", format: significant },
      { key: "worstP90", title: "worst p90", format: significant },
    ],
    headline: "oneWayNs",
    async run(context) {
      const turns = peers.map((peer) => new Turn(peer, size.bytes, side, placement));
      try {
        await Promise.all(turns.map((turn) => turn.start()));
        for (const turn of turns) {
          context.progress(`warming up ${turn.peer.name}`);
          await turn.warmUp(context);
        }
        for (let round = 1; round <= context.rounds; round++) {
          context.progress(`round ${round} of ${context.rounds}`);
          for (const turn of turns) await turn.measure();
        }
        return turns.map((turn) => turn.result(context));
      } finally {
        await Promise.all(turns.map((turn) => turn.session?.stop()));
      }
    },
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
class Turn {
  session: Session | undefined;
  /** Nanoseconds of each round. */
  readonly #oneWay: number[] = [];
  readonly #overheads = FACTORS.map((): number[] => []);
  #unavailable: string | undefined;
  #wantedNs: readonly number[] = [];
  #passes: readonly number[] = [];

  constructor(
    readonly peer: Peer,
    readonly bytes: number,
    readonly side: OverlapSide,
    readonly placement: Placement,
  ) {}

  start(): Promise<void> {
    return this.#attempt(async () => {
      if (this.placement.unavailable !== undefined) throw new Error(this.placement.unavailable);
      this.session = await this.peer.start(this.placement);
    });
  }

  /** Learns how long this peer takes alone: c is a share of that. */
  warmUp(context: Context): Promise<void> {
    return this.#attempt(async () => {
      await this.#median("bytes8", ECHO_PASSES);
      await this.#median(`${this.side}:${this.bytes}:0`, WARM_UP_PASSES);
      await this.#median(`compute:0:${MEBIBYTE}`, WARM_UP_PASSES);
      const alone = await this.#alone();
      this.#wantedNs = FACTORS.map((factor) => Math.max(1, Math.round(alone.oneWay * factor)));
      this.#passes = FACTORS.map((factor) => {
        const fitting = Math.round(context.batchNs / (alone.oneWay * (1 + factor)));
        return Math.min(Math.max(fitting, MIN_PASSES), MAX_PASSES);
      });
      for (const i of FACTORS.keys()) await this.#pair(i);
    });
  }

  measure(): Promise<void> {
    return this.#attempt(async () => {
      const { oneWay, acknowledgement } = await this.#alone();
      this.#oneWay.push(oneWay);
      for (const [i, factor] of FACTORS.entries()) {
        const { total, computation } = await this.#pair(i);
        const l = total - acknowledgement;
        const ratio = factor < 1 ? (l - oneWay) / computation : (l - computation) / oneWay;
        this.#overheads[i]?.push(ratio);
      }
    });
  }

  result(context: Context): Result {
    const { id: peer, name } = this.peer;
    if (this.#unavailable !== undefined) return { peer, name, unavailable: this.#unavailable };
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
    return { peer, name, values, rounds: this.#oneWay };
  }

  /** R and the latency of an acknowledgement: half of a round trip. */
  async #alone(): Promise<{ oneWay: number; acknowledgement: number }> {
    const acknowledgement = (await this.#median("bytes8", ECHO_PASSES)) / 2;
    const total = await this.#median(`${this.side}:${this.bytes}:0`, this.#passes[0] ?? WARM_UP_PASSES);
    return { oneWay: Math.max(1, total - acknowledgement), acknowledgement };
  }

  /** A transfer with a computation beside it, and that computation by itself. */
  async #pair(i: number): Promise<{ total: number; computation: number }> {
    const [ns, passes] = [this.#wantedNs[i] ?? 0, this.#passes[i] ?? MIN_PASSES];
    const computation = await this.#median(`compute:0:${ns}`, passes);
    return { total: await this.#median(`${this.side}:${this.bytes}:${ns}`, passes), computation };
  }

  async #median(workload: Workload, count: number): Promise<number> {
    const { each } = await (this.session as Session).measure({ workload, mode: "each", count });
    return median(each);
  }

  async #attempt(step: () => Promise<void>): Promise<void> {
    if (this.#unavailable !== undefined) return;
    try {
      await step();
    } catch (error) {
      this.#unavailable = (error as Error).message;
    }
  }
}
