// The members of a communicator that is a part of the world: its ranks, and the world's ranks, which are all that native code
// knows. Not responsible for how members are agreed on (contexts.ts).

export class Group {
  readonly #worldRanks: readonly number[];
  readonly #ranks: ReadonlyMap<number, number>;

  /** World ranks, in the order of the communicator's. */
  constructor(worldRanks: readonly number[]) {
    this.#worldRanks = worldRanks;
    this.#ranks = new Map(worldRanks.map((worldRank, rank) => [worldRank, rank]));
  }

  /** -1, for any rank, stays -1. */
  worldRank(rank: number): number {
    return rank < 0 ? rank : (this.#worldRanks[rank] as number);
  }

  /** The communicator's rank of a world rank; -1 if it is no member. */
  rankOf(worldRank: number): number {
    return this.#ranks.get(worldRank) ?? -1;
  }
}

/** What native code calls a rank of a communicator whose members are `group`; undefined: the world. */
export function worldRank(group: Group | undefined, rank: number): number {
  return group ? group.worldRank(rank) : rank;
}

/** A world rank as a communicator's; -1 if it is no member. */
export function rankOf(group: Group | undefined, worldRank: number): number {
  return group && worldRank >= 0 ? group.rankOf(worldRank) : worldRank;
}
