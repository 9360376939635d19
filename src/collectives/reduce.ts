// Reduce and allreduce (R. Thakur, R. Rabenseifner, W. Gropp, "Optimization of collective communication operations in
// MPICH", 2005). Who combines what with whom depends on the size of the communicator only, never on the root, on the length of
// the data or on who is late: a result is the same to the last bit on every rank, in every run, from reduce and allreduce.
// Operands keep the order of ranks, so that an operation need only be associative.
//
// The scheme: of the ranks beyond the largest power of two, the first 2 r fold in pairs (0 with 1, 2 with 3, …); then in round
// k blocks of 2^k neighbours combine. Reduce walks it as a binomial tree towards rank 0, allreduce by recursive doubling,
// for long arrays by Rabenseifner's recursive halving and doubling, in which each rank combines its share only.
// Not responsible for what an operation does (reduction.ts).
import type { ReducibleArray } from "../reduction.js";
import type { Collective } from "./collective.js";
import { ArrayOperand, type Operand, type Operator, operandFor } from "./operand.js";

/** From here on each rank combines its share only: twice the messages for less work. */
const LONG_BYTES = 64 * 1024;

/** Where a rank stands after folding: its number among the power of two that go on, or none. */
interface Place {
  readonly number: number | undefined;
  readonly count: number;
  /** The rank of a number. */
  rankAt(number: number): number;
  /** Whom it folds with, if with anybody. */
  readonly partner: number | undefined;
}

export function placeOf(rank: number, size: number): Place {
  const count = 2 ** Math.floor(Math.log2(size));
  const pairs = size - count;
  const rankAt = (number: number) => (number < pairs ? 2 * number : number + pairs);
  if (rank >= 2 * pairs) return { number: rank - pairs, count, rankAt, partner: undefined };
  if (rank % 2 === 1) return { number: undefined, count, rankAt, partner: rank - 1 };
  return { number: rank / 2, count, rankAt, partner: rank + 1 };
}

/** The result at the root, undefined elsewhere. */
export async function reduce(collective: Collective, data: unknown, op: Operator, root: number): Promise<unknown> {
  const { rank, size } = collective;
  const operand = operandFor(collective, data, op);
  const place = placeOf(rank, size);
  let value = await fold(collective, operand, place, data);
  if (place.number !== undefined) {
    for (let bit = 1; bit < place.count; bit *= 2) {
      if ((place.number & bit) !== 0) {
        void collective.pass(place.rankAt(place.number - bit), operand.encode(value));
        break;
      }
      const arrival = await collective.recv(place.rankAt(place.number + bit));
      value = operand.combine(value, operand.decode(arrival));
    }
  }
  // It is rank 0 that has it, whoever the root is.
  if (rank === 0 && root !== 0) void collective.pass(root, operand.encode(value));
  if (rank !== root) return undefined;
  return root === 0 ? operand.own(value) : operand.decode(await collective.recv(0));
}

/** The result on every rank. */
export async function allreduce(collective: Collective, data: unknown, op: Operator): Promise<unknown> {
  const operand = operandFor(collective, data, op);
  const place = placeOf(collective.rank, collective.size);
  let value = await fold(collective, operand, place, data);
  if (place.number === undefined) return operand.decode(await collective.recv(place.partner as number));
  const arrays: unknown = operand;
  if (arrays instanceof ArrayOperand && arrays.byteLength >= LONG_BYTES) {
    value = await halveAndDouble(collective, arrays, place.number, place, arrays.own(value as ReducibleArray));
  } else {
    value = await double(collective, operand, place.number, place, value);
  }
  if (place.partner !== undefined) {
    void collective.pass(place.partner, operand.encode(value));
    await collective.flush(); // the caller may write into it
  }
  return operand.own(value);
}

/** This rank's operand once it has taken in its partner's. */
async function fold<T>(collective: Collective, operand: Operand<T>, place: Place, data: T): Promise<T> {
  if (place.partner === undefined) return data;
  if (place.number !== undefined) return operand.combine(data, operand.decode(await collective.recv(place.partner)));
  void collective.pass(place.partner, operand.encode(data));
  return data;
}

async function double<T>(
  collective: Collective,
  operand: Operand<T>,
  number: number,
  { count, rankAt }: Place,
  data: T,
): Promise<T> {
  let value = data;
  for (let bit = 1; bit < count; bit *= 2) {
    const other = number ^ bit;
    const sent = collective.pass(rankAt(other), operand.encode(value));
    const theirs = operand.decode(await collective.recv(rankAt(other)));
    await sent; // combining may write into it
    value = number < other ? operand.combine(value, theirs) : operand.combine(theirs, value);
  }
  return value;
}

/** Of an array, from `start` to `end`. */
interface Stretch {
  readonly start: number;
  readonly end: number;
}

const part = (array: ReducibleArray, { start, end }: Stretch) => array.subarray(start, end);
const lengthOf = ({ start, end }: Stretch) => end - start;

/**
 * In each round of the first half, neighbours at twice the distance share what both still hold, so that blocks combine in the
 * order of ranks; the second half goes the same way back with results. `array` is this collective's own.
 */
async function halveAndDouble(
  collective: Collective,
  operand: ArrayOperand,
  number: number,
  { count, rankAt }: Place,
  array: ReducibleArray,
): Promise<ReducibleArray> {
  const rounds: { other: number; kept: Stretch; given: Stretch; sent: Promise<void> }[] = [];
  let held: Stretch = { start: 0, end: array.length };
  for (let bit = 1; bit < count; bit *= 2) {
    const other = number ^ bit;
    const middle = (held.start + held.end) >>> 1;
    const low = { start: held.start, end: middle };
    const high = { start: middle, end: held.end };
    const [kept, given] = number < other ? [low, high] : [high, low];
    const sent = collective.pass(rankAt(other), operand.encode(part(array, given)));
    const theirs = operand.decode(await collective.recv(rankAt(other)), lengthOf(kept));
    operand.combineInto(part(array, kept), theirs, number < other);
    rounds.push({ other, kept, given, sent });
    held = kept;
  }
  for (const { other, kept, given, sent } of rounds.reverse()) {
    void collective.pass(rankAt(other), operand.encode(part(array, kept)));
    const theirs = operand.decode(await collective.recv(rankAt(other)), lengthOf(given));
    await sent; // now its place is free
    part(array, given).set(theirs as never);
  }
  await collective.flush(); // the caller may write into it
  return array;
}
