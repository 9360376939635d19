// What becomes of peers that were measured in turn (harness/interleave.ts): the values that every such row has, and the result with its
// reasons and notes.
import type { Measured } from "../harness/interleave.js";
import type { Context, Result } from "../harness/row.js";
import { distribution } from "../harness/stats.js";

export function times(values: readonly number[]): Record<string, number> {
  const { median, p10, p90, p99, max } = distribution(values);
  return { medianNs: median, p10Ns: p10, p90Ns: p90, p99Ns: p99, maxNs: max };
}

/** CPU time of a pass, all the peer's processes, and of waiting while others were measured. */
export function cost(one: Measured): Record<string, number> {
  // Nanoseconds per pass are milliseconds per million; a million passes, in seconds.
  return { cpuSecondsPerMillion: one.cpuNsPerPass / 1e3, idleShare: one.idleShare };
}

/** @param rounds the median of each, in the order measured */
export function result(
  one: Measured,
  values: Record<string, number>,
  rounds: readonly number[],
  context: Context,
): Result {
  const { id: peer, name } = one.peer;
  if (one.unavailable !== undefined) return { peer, name, unavailable: one.unavailable };
  const counts = { passes: one.passes, rounds: context.rounds };
  return { peer, name, values: { ...counts, ...values }, rounds, ...(one.note ? { note: one.note } : {}) };
}
