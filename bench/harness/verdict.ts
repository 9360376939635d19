// Targets and whether this run meets them. A target that was not measured is neither met nor missed, and says why.
import type { Answered, Result } from "./row.js";

export interface Verdict {
  readonly id: string;
  readonly target: string;
  readonly measured: string;
  /** undefined: not measured. */
  readonly met?: boolean;
}

export interface Target {
  readonly id: string;
  readonly target: string;
  /** @throws Error (by Answers) that says what is missing */
  judge(answers: Answers): { measured: string; met: boolean };
}

/** The target speaks of rows that this run was not asked for: it is left out. */
class NotAsked extends Error {}

/** Look-ups in a run's answers that fail with a reason. */
export class Answers {
  constructor(readonly all: readonly Answered[]) {}

  /** A value of one peer in one row. */
  value(row: string, peer: string, key: string): number {
    const result = this.results(row).find((result) => result.peer === peer);
    if (result === undefined) throw new Error(`${peer} is not in ${row}`);
    if (result.values === undefined) throw new Error(`${result.name} did not run, see above`);
    return result.values[key] ?? Number.NaN;
  }

  /** The peer with the smallest value among those that ran. */
  fastest(row: string, peers: readonly string[], key: string): { result: Result; value: number } {
    const ran = this.results(row)
      .filter((result) => peers.includes(result.peer) && result.values !== undefined)
      .map((result) => ({ result, value: result.values?.[key] ?? Number.NaN }))
      .sort((a, b) => a.value - b.value);
    const [first] = ran;
    if (first === undefined) throw new Error(`none of ${peers.join(", ")} ran in ${row}`);
    return first;
  }

  /** The peers of a row that ran. */
  ran(row: string): readonly Result[] {
    return this.results(row).filter((result) => result.values !== undefined);
  }

  /** The ids of the measured rows that begin so. */
  asked(prefix: string): string[] {
    const ids = this.all.map(({ row }) => row.id).filter((id) => id.startsWith(prefix));
    if (ids.length === 0) throw new NotAsked();
    return ids;
  }

  private results(row: string): readonly Result[] {
    const answered = this.all.find((answered) => answered.row.id === row);
    if (answered === undefined) throw new NotAsked();
    return answered.results;
  }
}

export function judge(targets: readonly Target[], all: readonly Answered[]): Verdict[] {
  const answers = new Answers(all);
  return targets.flatMap(({ id, target, judge }): Verdict[] => {
    try {
      return [{ id, target, ...judge(answers) }];
    } catch (error) {
      return error instanceof NotAsked ? [] : [{ id, target, measured: (error as Error).message }];
    }
  });
}

export function verdictLines(verdicts: readonly Verdict[]): string[] {
  const width = Math.max(0, ...verdicts.map(({ target }) => target.length));
  return verdicts.map(({ target, measured, met }) => {
    const word = met === undefined ? "not measured" : met ? "met" : "NOT MET";
    return `  ${word.padEnd(12)}  ${target.padEnd(width)}  ${measured}`;
  });
}
