// What an exchange beside a computation takes in all, for computations of fixed lengths: the overhead ratio (rows/overlap.ts) says how much of a
// message hides, and punishes a peer whose message alone is fast; this says when both are done.
import { microseconds } from "../harness/format.js";
import type { OverlapSide, Peer } from "../harness/peer.js";
import { type Placement, threadsApart } from "../harness/placement.js";
import type { Context, Result, Row } from "../harness/row.js";
import { distribution } from "../harness/stats.js";
import { PeerTurn, takeTurns } from "../harness/turns.js";
import { SIDES } from "./overlap.js";
import { type Size, sizes } from "./sizes.js";

const COMPUTE_NS_8MIB = [0, 0.3e6, 0.6e6, 1.2e6, 2.4e6, 4.8e6] as const;
const SIZES = sizes("8MiB", "32MiB");
const [SHOWN] = SIZES;
/** The one length that ratios are made of: about as long as the message of most peers. */
const HEADLINE = 3;

const WARM_UP_PASSES = 5;
const MIN_PASSES = 3;
const MAX_PASSES = 20;

export function overlapTotals(peers: readonly Peer[], quickPeers: readonly Peer[]): Row[] {
  const sides = Object.keys(SIDES) as OverlapSide[];
  return SIZES.flatMap((size) => sides.map((side) => total(peers, quickPeers, size, side)));
}

function total(peers: readonly Peer[], quickPeers: readonly Peer[], size: Size, side: OverlapSide): Row {
  const placement = threadsApart();
  const computations = COMPUTE_NS_8MIB.map((ns) => (ns * size.bytes) / (SHOWN?.bytes ?? size.bytes));
  const [first, ...others] = computations.map((ns) => ({
    key: `total${ns}Ns`,
    title: `c = ${ns / 1e6} ms`,
    format: microseconds,
  }));
  return {
    id: `overlap-total-${side}-${size.label}/${placement.id}`,
    title: `${size.name} and a computation, until both are done: ${SIDES[side]}, ${placement.id}`,
    about: `${placement.description}; from before the send to the receiver's acknowledgement, µs; computations c of fixed lengths`,
    placement,
    figure: { kind: "overlap-total", bytes: size.bytes, side },
    thorough: size !== SHOWN || side !== "recv",
    columns: [first, ...others].filter((column) => column !== undefined),
    headline: `total${computations[HEADLINE]}Ns`,
    run: (context) =>
      takeTurns(
        (context.quick ? quickPeers : peers).map(
          (peer) => new Total(peer, `${side}:${size.bytes}`, computations, placement),
        ),
        context,
      ),
  };
}

class Total extends PeerTurn {
  /** Of each computation, the rounds' medians. */
  readonly #totals: readonly number[][];
  #passes: readonly number[] = [];

  constructor(
    peer: Peer,
    readonly exchange: `${OverlapSide}:${number}`,
    readonly computations: readonly number[],
    placement: Placement,
  ) {
    super(peer, placement);
    this.#totals = computations.map(() => []);
  }

  override async warmUp(context: Context): Promise<void> {
    const passes: number[] = [];
    for (const ns of this.computations) {
      const time = await this.median(`${this.exchange}:${ns}`, WARM_UP_PASSES);
      passes.push(Math.min(Math.max(Math.round(context.batchNs / time), MIN_PASSES), MAX_PASSES));
    }
    this.#passes = passes;
  }

  override async measure(): Promise<void> {
    for (const [i, ns] of this.computations.entries()) {
      this.#totals[i]?.push(await this.median(`${this.exchange}:${ns}`, this.#passes[i] ?? MIN_PASSES));
    }
  }

  override answer(context: Context): Pick<Result, "values" | "rounds"> {
    const values: Record<string, number> = { rounds: context.rounds };
    for (const [i, ns] of this.computations.entries()) {
      const { median, p10, p90 } = distribution(this.#totals[i] ?? []);
      Object.assign(values, { [`total${ns}Ns`]: median, [`total${ns}P10Ns`]: p10, [`total${ns}P90Ns`]: p90 });
    }
    values.passes = context.rounds * this.#passes.reduce((sum, passes) => sum + passes, 0);
    return { values, rounds: this.#totals[HEADLINE] ?? [] };
  }
}
