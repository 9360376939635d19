// Context numbers: what keeps the messages of one communicator apart from those of every other.
// Responsible for numbers that no two communicators ever share and for how members agree on theirs; not for the
// communicators made of them (communicator.ts).
//
// Rank 0 of the parent gives each new communicator a number made of its own rank in the world and a count of its own, so that
// no two numbers are equal, whoever else makes communicators at the same time. The parts that one split makes share a number:
// no process is in two of them. Numbers are never given again: messages of a communicator that was freed may still be about.
import { allgather } from "./collectives/allgather.js";
import type { Collective } from "./collectives/collective.js";
import { CarillonError } from "./errors.js";

/** Native contexts: a communicator's messages, and beside them those of its collectives, which no wildcard of a user sees. */
export const userContext = (number: number): number => 2 * number;
export const collectiveContext = (number: number): number => 2 * number + 1;

const MOST_NUMBER = 2 ** 31 - 1;
const NOBODY = -1;

/** A member of the communicator that is to be: its rank in the parent, and where it wants to be. */
interface Member {
  readonly rank: number;
  readonly color: number;
  readonly key: number;
  readonly number: number;
}

export interface Part {
  readonly number: number;
  /** Ranks in the parent, in the order of the new ranks. */
  readonly members: readonly number[];
}

/** The numbers that this thread gives; only one thread of a rank does (the one that has the world's collectives). */
export class Contexts {
  readonly #worldRank: number;
  readonly #ranks: number;
  #count = 0;

  /** `ranks`: the most that a world can have. */
  constructor(worldRank: number, ranks: number) {
    this.#worldRank = worldRank;
    this.#ranks = ranks;
  }

  /** @throws CarillonError ERR_CARILLON_TOO_MANY_COMMUNICATORS */
  next(): number {
    const number = (this.#count + 1) * this.#ranks + this.#worldRank;
    if (number > MOST_NUMBER) {
      throw new CarillonError(
        "ERR_CARILLON_TOO_MANY_COMMUNICATORS",
        `this rank has made ${this.#count} communicators, more than there are numbers for; make fewer and keep them`,
      );
    }
    this.#count++;
    return number;
  }
}

/**
 * Agrees on the parts of a communicator, by one allgather: who wants to be where, and the number that rank 0 gives.
 * Undefined: this rank is in none.
 */
export async function agree(
  collective: Collective,
  contexts: Contexts,
  color: number | undefined,
  key: number,
): Promise<Part | undefined> {
  const number = collective.rank === 0 ? contexts.next() : 0;
  const all = await allgather(collective, Float64Array.of(color ?? NOBODY, key, number));
  const members = all.map(([color, key, number], rank) => ({ rank, color, key, number }) as Member);
  if (color === undefined) return undefined;
  const mine = members.filter((member) => member.color === color).sort((a, b) => a.key - b.key || a.rank - b.rank);
  return { number: (members[0] as Member).number, members: mine.map(({ rank }) => rank) };
}
