// Which ranks have gone, for receives from any source in a part of the world: native code ends such a receive only when the
// whole world has gone. Not responsible for receives that name their source, which native code ends by itself.
import type { CarillonError } from "./errors.js";
import type { Operation, Request } from "./request.js";

/**
 * Posts a receive from this rank of the world that nothing ever matches: it ends when that rank has gone, after everything it
 * had sent was delivered.
 */
export type Sentinel = (worldRank: number) => Request<unknown>;

/** Of one thread: watches each rank at most once, whatever the number of communicators. */
export class Absences {
  readonly #sentinel: Sentinel;
  readonly #gone = new Map<number, Promise<CarillonError>>();

  constructor(sentinel: Sentinel) {
    this.#sentinel = sentinel;
  }

  /** Resolves with how this rank went. */
  of(worldRank: number): Promise<CarillonError> {
    let gone = this.#gone.get(worldRank);
    if (!gone) {
      gone = new Promise((resolve) => this.#watch(worldRank, resolve));
      this.#gone.set(worldRank, gone);
    }
    return gone;
  }

  #watch(worldRank: number, resolve: (error: CarillonError) => void): void {
    // It does not keep the process alive: what waits for a message does.
    const sentinel = this.#sentinel(worldRank).unref();
    sentinel.then(() => this.#watch(worldRank, resolve), resolve);
  }
}

/** What a message from any source is for, a request or a taker: ends it for this reason. */
export type Withdraw = (reason: CarillonError) => void;

/** Of one communicator: what waits for a message from any source, which ends when all other members have gone. */
export class Roll {
  readonly #waiting = new Map<Withdraw, Operation>();
  readonly #others: number;
  readonly #explain: (operation: Operation, last: CarillonError, anyLost: boolean) => CarillonError;
  #gone = 0;
  #anyLost = false;
  #last: CarillonError | undefined;

  /** `explain` makes the error of what nobody can complete. */
  constructor(
    absences: Absences,
    others: readonly number[],
    explain: (operation: Operation, last: CarillonError, anyLost: boolean) => CarillonError,
  ) {
    this.#others = others.length;
    this.#explain = explain;
    for (const worldRank of others) void absences.of(worldRank).then((error) => this.#absent(error));
  }

  /** One that has just begun. `over` settles when it has ended. */
  add(operation: Operation, over: Promise<unknown>, withdraw: Withdraw): void {
    if (this.#last) {
      withdraw(this.#explain(operation, this.#last, this.#anyLost));
    } else {
      this.#waiting.set(withdraw, operation);
      const settled = () => this.#waiting.delete(withdraw);
      over.then(settled, settled);
    }
  }

  #absent(error: CarillonError): void {
    this.#anyLost ||= error.code !== "ERR_CARILLON_PEER_CLOSED";
    if (++this.#gone < this.#others || error.code === "ERR_CARILLON_CLOSED") return;
    this.#last = error;
    for (const [withdraw, operation] of this.#waiting) withdraw(this.#explain(operation, error, this.#anyLost));
  }
}
