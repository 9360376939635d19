// Peers whose turn is more than a batch (harness/interleave.ts has those): each goes its own way through a row, round by round, in turn with the
// others. One peer's failure is its own row's news and nobody else's.
import type { Peer, Session, Workload } from "./peer.js";
import type { Placement } from "./placement.js";
import type { Context, Result } from "./row.js";
import { median } from "./stats.js";

export abstract class PeerTurn {
  #session: Session | undefined;
  #unavailable: string | undefined;

  constructor(
    readonly peer: Peer,
    readonly placement: Placement,
  ) {}

  abstract warmUp(context: Context): Promise<void>;
  /** One round. */
  abstract measure(context: Context): Promise<void>;
  /** What came of it, if nothing failed. */
  abstract answer(context: Context): Pick<Result, "values" | "rounds">;

  /** The median time of a pass. */
  protected async median(workload: Workload, count: number): Promise<number> {
    const { each } = await (this.#session as Session).measure({ workload, mode: "each", count });
    return median(each);
  }

  async start(): Promise<void> {
    if (this.placement.unavailable !== undefined) throw new Error(this.placement.unavailable);
    this.#session = await this.peer.start(this.placement);
  }

  async stop(): Promise<void> {
    await this.#session?.stop();
  }

  async attempt(step: () => Promise<void>): Promise<void> {
    if (this.#unavailable !== undefined) return;
    try {
      await step();
    } catch (error) {
      this.#unavailable = (error as Error).message;
    }
  }

  result(context: Context): Result {
    const { id: peer, name } = this.peer;
    if (this.#unavailable !== undefined) return { peer, name, unavailable: this.#unavailable };
    const { note } = this.placement;
    return { peer, name, ...this.answer(context), ...(note ? { note } : {}) };
  }
}

export async function takeTurns(turns: readonly PeerTurn[], context: Context): Promise<Result[]> {
  try {
    context.progress("starting");
    await Promise.all(turns.map((turn) => turn.attempt(() => turn.start())));
    for (const turn of turns) {
      context.progress(`warming up ${turn.peer.name}`);
      await turn.attempt(() => turn.warmUp(context));
    }
    for (let round = 1; round <= context.rounds; round++) {
      context.progress(`round ${round} of ${context.rounds}`);
      for (const turn of turns) await turn.attempt(() => turn.measure(context));
    }
    return turns.map((turn) => turn.result(context));
  } finally {
    await Promise.all(turns.map((turn) => turn.stop()));
  }
}
