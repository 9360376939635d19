// What a reduction carries from rank to rank: typed arrays, element by element, or whole values; encoded, checked on arrival,
// combined. Not responsible for who combines with whom (reduce.ts) nor for what operations do (src/reduction.ts).
import {
  type Combine,
  combineFor,
  copyOfArray,
  isReducibleArray,
  kernelFor,
  type ReduceOperation,
  type ReducibleArray,
} from "../reduction.js";
import { type Encoded, encode } from "../value.js";
import type { Arrival, Collective } from "./collective.js";

export type Operator = ReduceOperation | Combine<never>;

/** T is what a member gives and what comes out. */
export interface Operand<T> {
  encode(value: T): Encoded;
  /** @throws CarillonError ERR_CARILLON_COLLECTIVE_MISMATCH: it is nothing that could be combined with this rank's data */
  decode(arrival: Arrival): T;
  /** May write into either of them, except into this rank's own data. */
  combine(lower: T, higher: T): T;
  /** A result that is not the caller's own data. */
  own(value: T): T;
}

/** @throws CarillonError ERR_CARILLON_INVALID_ARGUMENT, ERR_CARILLON_INVALID_BUFFER or ERR_CARILLON_BUFFER_DETACHED */
export function operandFor(collective: Collective, data: unknown, op: Operator): Operand<unknown> {
  return isReducibleArray(data)
    ? (new ArrayOperand(collective, data, op) as Operand<unknown>)
    : valueOperand(collective, data, op);
}

export class ArrayOperand implements Operand<ReducibleArray> {
  readonly #collective: Collective;
  readonly #data: ReducibleArray;
  readonly #encoding: number;
  readonly #kernel: ReturnType<typeof kernelFor>;

  constructor(collective: Collective, data: ReducibleArray, op: Operator) {
    this.#collective = collective;
    this.#data = data;
    this.#kernel = kernelFor(data, op);
    this.#encoding = encode(data).encoding;
  }

  get byteLength(): number {
    return this.#data.byteLength;
  }

  encode(value: ReducibleArray): Encoded {
    // Whatever is not the caller's is this collective's alone until it has been sent.
    return { ...encode(value), owned: value.buffer !== this.#data.buffer };
  }

  decode(arrival: Arrival, length = this.#data.length): ReducibleArray {
    const { source, encoding } = arrival;
    const theirs = encoding === this.#encoding ? (arrival.value as ReducibleArray) : undefined;
    if (theirs?.length === length) return theirs;
    const found = theirs ? `${theirs.length} elements` : "another type of data";
    const wanted = `${this.#data.constructor.name}(${length})`;
    throw this.#collective.mismatch(`rank ${source} has ${found} where this rank has ${wanted}`, source);
  }

  combine(lower: ReducibleArray, higher: ReducibleArray): ReducibleArray {
    const target = lower === this.#data ? higher : lower;
    this.#kernel(target, lower, higher);
    return target;
  }

  /** Into `mine`, a part of an array that is not the caller's own data. */
  combineInto(mine: ReducibleArray, theirs: ReducibleArray, mineIsLower: boolean): void {
    if (mineIsLower) this.#kernel(mine, mine, theirs);
    else this.#kernel(mine, theirs, mine);
  }

  own(value: ReducibleArray): ReducibleArray {
    return value === this.#data ? copyOfArray(value) : value;
  }
}

function valueOperand(collective: Collective, data: unknown, op: Operator): Operand<unknown> {
  const combine = combineFor(data, op);
  const type = typeof op === "function" ? undefined : typeof data;
  return {
    encode,
    decode(arrival) {
      const { source, value } = arrival;
      if (type === undefined || typeof value === type) return value;
      throw collective.mismatch(`rank ${source} has a ${typeof value} where this rank has a ${type}`, source);
    },
    combine,
    own: (value) => value,
  };
}
