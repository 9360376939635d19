// What reductions combine: the named operations and functions of the user's, over typed arrays element by element and over
// other values as a whole. Pure TypeScript; not responsible for who combines what with whom (collectives/reduce.ts).
import { CarillonError } from "./errors.js";
import { checkView } from "./value/check.js";
import { kindOf, makeView } from "./value/kinds.js";

type IntegerArray =
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** What named operations combine element by element. Node 24's Float16Array too. */
export type ReducibleArray = IntegerArray | Float32Array | Float64Array;

/**
 * `and`, `or` and `xor` work on the bits of integers, `land` and `lor` on whether a value is other than 0 and give 1 or 0.
 * Elements are stored as their array stores them: sums of integers wrap, of a Uint8ClampedArray saturate.
 */
export type ReduceOperation = "sum" | "product" | "min" | "max" | "and" | "or" | "xor" | "land" | "lor";

/** Must be associative, but for rounding; it need not be commutative: `lower` comes from lower ranks. */
export type Combine<T> = (lower: T, higher: T) => T;

type ElementOf<A> = A extends BigInt64Array | BigUint64Array ? bigint : number;
/** A function for typed arrays gets elements. */
export type ReduceOperator<T> = ReduceOperation | Combine<T extends ReducibleArray ? ElementOf<T> : T>;

/** Writes what `lower` and `higher` give into `target`, which may be either of them. All are of one type and length. */
type Kernel = (target: ReducibleArray, lower: ReducibleArray, higher: ReducibleArray) => void;

// The type systems of elements and of arrays of them do not meet: numbers stand for both kinds of element here.
type Elements = { length: number; [index: number]: number };
type Loop = (target: Elements, lower: Elements, higher: Elements) => void;

// A loop each: a call for each element would cost more than the operation.
const sum: Loop = (t, a, b) => {
  for (let i = 0; i < t.length; i++) t[i] = (a[i] as number) + (b[i] as number);
};
const product: Loop = (t, a, b) => {
  for (let i = 0; i < t.length; i++) t[i] = (a[i] as number) * (b[i] as number);
};
/** A product of 32-bit integers may be no exact number; its lowest 32 bits are. */
const wrappedProduct: Loop = (t, a, b) => {
  for (let i = 0; i < t.length; i++) t[i] = Math.imul(a[i] as number, b[i] as number);
};
// Math.min and Math.max know -0 and NaN, but no bigints.
const min: Loop = (t, a, b) => {
  for (let i = 0; i < t.length; i++) t[i] = Math.min(a[i] as number, b[i] as number);
};
const max: Loop = (t, a, b) => {
  for (let i = 0; i < t.length; i++) t[i] = Math.max(a[i] as number, b[i] as number);
};
const minBig: Loop = (t, a, b) => {
  for (let i = 0; i < t.length; i++) t[i] = lesser(a[i] as number, b[i] as number);
};
const maxBig: Loop = (t, a, b) => {
  for (let i = 0; i < t.length; i++) t[i] = greater(a[i] as number, b[i] as number);
};
function lesser(a: number, b: number): number {
  if (b < a) return b;
  return a;
}
function greater(a: number, b: number): number {
  if (b > a) return b;
  return a;
}
const and: Loop = (t, a, b) => {
  for (let i = 0; i < t.length; i++) t[i] = (a[i] as number) & (b[i] as number);
};
const or: Loop = (t, a, b) => {
  for (let i = 0; i < t.length; i++) t[i] = (a[i] as number) | (b[i] as number);
};
const xor: Loop = (t, a, b) => {
  for (let i = 0; i < t.length; i++) t[i] = (a[i] as number) ^ (b[i] as number);
};
const logical =
  (one: unknown, zero: unknown, combine: (a: boolean, b: boolean) => boolean): Loop =>
  (t, a, b) => {
    for (let i = 0; i < t.length; i++) t[i] = (combine(truth(a[i]), truth(b[i])) ? one : zero) as number;
  };

/** Other than 0: NaN is. */
const truth = (value: unknown): boolean => value !== 0 && value !== 0n;
const both = (a: boolean, b: boolean) => a && b;
const either = (a: boolean, b: boolean) => a || b;

const NUMBERS: Record<ReduceOperation, Loop> = {
  sum,
  product,
  min,
  max,
  and,
  or,
  xor,
  land: logical(1, 0, both),
  lor: logical(1, 0, either),
};
const WORDS: Record<ReduceOperation, Loop> = { ...NUMBERS, product: wrappedProduct };
const BIGINTS: Record<ReduceOperation, Loop> = {
  ...NUMBERS,
  min: minBig,
  max: maxBig,
  land: logical(1n, 0n, both),
  lor: logical(1n, 0n, either),
};
/** Bits of numbers that may be no integers mean nothing. */
const BITWISE: ReadonlySet<string> = new Set(["and", "or", "xor"]);

const NAMES = Object.keys(NUMBERS);
/** A function's number, beside those of the named operations: what members must agree on, in four bits. */
const FUNCTION = 15;

/** @throws CarillonError ERR_CARILLON_INVALID_ARGUMENT */
export function operatorNumber(op: unknown): number {
  if (typeof op === "function") return FUNCTION;
  const index = NAMES.indexOf(op as string);
  if (index >= 0) return index;
  const names = NAMES.map((name) => JSON.stringify(name)).join(", ");
  throw refused(
    `op must be a function or one of ${names}, not ${typeof op === "string" ? JSON.stringify(op) : String(op)}`,
  );
}

export function isReducibleArray(value: unknown): value is ReducibleArray {
  return ArrayBuffer.isView(value) && !(value instanceof DataView);
}

/**
 * How arrays of this one's type are combined.
 * @throws CarillonError ERR_CARILLON_INVALID_ARGUMENT, ERR_CARILLON_INVALID_BUFFER or ERR_CARILLON_BUFFER_DETACHED
 */
export function kernelFor(array: ReducibleArray, op: ReduceOperation | Combine<never>): Kernel {
  checkView(array, "data");
  if (typeof op === "function") {
    const combine = op as unknown as (lower: number, higher: number) => number;
    const each: Loop = (t, a, b) => {
      for (let i = 0; i < t.length; i++) t[i] = combine(a[i] as number, b[i] as number);
    };
    return each as unknown as Kernel;
  }
  const big = array instanceof BigInt64Array || array instanceof BigUint64Array;
  const name = Object.prototype.toString.call(array).slice("[object ".length, -1);
  if (BITWISE.has(op) && name.startsWith("Float")) {
    throw refused(`op "${op}" works on the bits of integers; the elements of a ${name} are none`);
  }
  const words = array instanceof Int32Array || array instanceof Uint32Array;
  return (big ? BIGINTS : words ? WORDS : NUMBERS)[op] as unknown as Kernel;
}

/**
 * How whole values are combined: numbers and bigints by name, anything by a function.
 * @throws CarillonError ERR_CARILLON_INVALID_ARGUMENT
 */
export function combineFor(value: unknown, op: ReduceOperation | Combine<never>): Combine<unknown> {
  if (typeof op === "function") return op as unknown as Combine<unknown>;
  if (typeof value === "number") {
    // JavaScript's own operators on numbers: and, or and xor take them as 32-bit integers.
    return inCells(NUMBERS[op]);
  }
  if (typeof value === "bigint") return inCells(BIGINTS[op]);
  const found = Array.isArray(value) ? "an array" : `a value of type ${value === null ? "null" : typeof value}`;
  throw refused(
    `op "${op}" combines typed arrays, numbers and bigints, not ${found}; pass a typed array or a function`,
  );
}

/** One element as an array of one. */
function inCells(loop: Loop): Combine<unknown> {
  return (lower, higher) => {
    const target = [lower] as Elements;
    loop(target, target, [higher] as Elements);
    return target[0];
  };
}

/** A new array of the same type, with the same elements. */
export function copyOfArray(array: ReducibleArray): ReducibleArray {
  const bytes = new Uint8Array(array.byteLength);
  bytes.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
  return makeView(kindOf(array), bytes.buffer, 0, bytes.byteLength) as ReducibleArray;
}

/**
 * Whether results of `data` fit into `into`.
 * @throws CarillonError ERR_CARILLON_INVALID_ARGUMENT
 */
export function checkInto(into: unknown, data: unknown): void {
  if (into === undefined) return;
  if (!isReducibleArray(data)) throw refused("into is for typed arrays");
  if (!isReducibleArray(into) || kindOf(into) !== kindOf(data) || into.length !== data.length) {
    throw refused(`into must be of data's type and length, ${data.constructor.name}(${data.length})`);
  }
  checkView(into, "into");
}

function refused(what: string): CarillonError {
  return new CarillonError("ERR_CARILLON_INVALID_ARGUMENT", what);
}
