// The halo exchange: each step a rank sends its border rows to its neighbours and receives theirs, and this says what it cost.
// Responsible for these messages and their times; what is computed meanwhile is main.ts's business.
import type { Communicator, Message, Request } from "carillon";
import type { Slab } from "./slab.js";

/** Tags: which way a row travels. With a neighbour on each side they cannot be confused, with wrap-around they could. */
const UPWARD = 1;
const DOWNWARD = 2;

/** Halo exchanges between the ranks that compute neighbouring slabs of a grid. */
export class HaloExchange {
  readonly #world: Communicator;
  readonly #slab: Slab;
  #messages = 0;
  #bytes = 0;

  constructor(world: Communicator, slab: Slab) {
    this.#world = world;
    this.#slab = slab;
  }

  /** What this rank has sent so far. */
  get sent(): { messages: number; bytes: number } {
    return { messages: this.#messages, bytes: this.#bytes };
  }

  /**
   * Starts an exchange of the slab's rows as they are now and returns at once. From here on the messages travel by themselves:
   * Carillon's native thread moves them whatever JavaScript computes. Until `received`, rows 0 and `rows + 1` are not to be
   * read; until `sent`, rows 1 and `rows` are not to be written.
   */
  post(times: ExchangeTimes): Exchange {
    const { rank, size } = this.#world;
    const slab = this.#slab;
    const above = rank > 0 ? rank - 1 : undefined;
    const below = rank < size - 1 ? rank + 1 : undefined;

    const posted = clock();
    // Each row takes along the time when it was sent. Both notes are written before either send: with a slab of one row
    // they are the same, and what is being sent may not change.
    slab.row(1)[slab.width] = posted;
    slab.row(slab.rows)[slab.width] = posted;

    // Receives first: a row that finds its receive posted goes straight to its place.
    const receives: Request<Message<Float64Array>>[] = [];
    if (above !== undefined) receives.push(this.#world.recv({ source: above, tag: DOWNWARD, into: slab.row(0) }));
    if (below !== undefined)
      receives.push(this.#world.recv({ source: below, tag: UPWARD, into: slab.row(slab.rows + 1) }));
    const sends: Request<void>[] = [];
    if (above !== undefined) sends.push(this.#send(slab.row(1), above, UPWARD));
    if (below !== undefined) sends.push(this.#send(slab.row(slab.rows), below, DOWNWARD));

    const calls = clock() - posted;
    if (above === undefined) slab.mirrorAbove();
    if (below === undefined) slab.mirrorBelow();
    return new Exchange(receives, sends, (waiting) => {
      if (receives.length === 0) return;
      const arrived = clock();
      const lastSent = Math.max(
        above === undefined ? 0 : (slab.row(0)[slab.width] as number),
        below === undefined ? 0 : (slab.row(slab.rows + 1)[slab.width] as number),
      );
      const waited = arrived - waiting;
      times.add({ calls, total: arrived - posted, waited, late: Math.min(Math.max(lastSent - waiting, 0), waited) });
    });
  }

  #send(row: Float64Array, dest: number, tag: number): Request<void> {
    this.#messages++;
    this.#bytes += row.byteLength;
    return this.#world.send(row, { dest, tag });
  }
}

/** An exchange under way. */
export class Exchange {
  readonly #received: Promise<unknown>;
  readonly #sent: Promise<unknown>;
  readonly #arrived: (waiting: number) => void;

  constructor(receives: Request<unknown>[], sends: Request<unknown>[], arrived: (waiting: number) => void) {
    this.#received = Promise.all(receives);
    this.#sent = Promise.all(sends);
    this.#arrived = arrived;
    // Requests are promises: should one fail while another is awaited, its failure waits here for its own await.
    this.#received.catch(() => {});
    this.#sent.catch(() => {});
  }

  /** The neighbours' rows are here. */
  async received(): Promise<void> {
    const waiting = clock();
    await this.#received;
    this.#arrived(waiting);
  }

  /** The own rows are on their way and may be written again. */
  async sent(): Promise<void> {
    await this.#sent;
  }
}

/** What one exchange took, in milliseconds. */
export interface ExchangeTime {
  /** In the calls of send and recv. */
  readonly calls: number;
  /** From posting to both halos here, whatever was computed in between. */
  readonly total: number;
  /** Awaited: from asking for the halos to having them. */
  readonly waited: number;
  /** The part of `waited` in which a neighbour had not sent his row yet: waiting for his computation, not for a message. */
  readonly late: number;
}

/** The times of a number of exchanges, in columns. A message can take them along; it brings data, not the class. */
export type Times = { readonly [Column in keyof ExchangeTime]: readonly number[] };

/** Collects times. */
export class ExchangeTimes implements Times {
  readonly calls: number[] = [];
  readonly total: number[] = [];
  readonly waited: number[] = [];
  readonly late: number[] = [];

  add(time: ExchangeTime): void {
    this.calls.push(time.calls);
    this.total.push(time.total);
    this.waited.push(time.waited);
    this.late.push(time.late);
  }
}

/**
 * Milliseconds since the machine was started: one clock for all processes of a machine, which a note in a message needs.
 * (Ranks on several machines would have to agree on an offset first.)
 */
export function clock(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}
