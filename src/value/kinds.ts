// The kinds of memory that travel as bare bytes, their numbers on the wire, and how to make each over received bytes.
// Not responsible for whether a sender's buffer may be used (check.ts).
import { CarillonError } from "../errors.js";

interface ViewConstructor {
  readonly name: string;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): ArrayBufferView;
}

/** What all kinds but DataView have. */
export interface TypedArray extends ArrayBufferView {
  readonly length: number;
  readonly [index: number]: number | bigint;
}

/** One that takes what others of its kind hold. */
export interface TypedTarget {
  set(from: TypedArray): void;
}

interface Kind {
  readonly name: string;
  readonly bytes: number;
  /** Absent where this runtime does not have the type. */
  readonly make: ViewConstructor | undefined;
}

const Float16 = (globalThis as { Float16Array?: ViewConstructor }).Float16Array;

/** In the order of their numbers on the wire: append only. */
const KINDS: readonly Kind[] = [
  { name: "Uint8Array", bytes: 1, make: Uint8Array },
  { name: "Int8Array", bytes: 1, make: Int8Array },
  { name: "Uint8ClampedArray", bytes: 1, make: Uint8ClampedArray },
  { name: "Int16Array", bytes: 2, make: Int16Array },
  { name: "Uint16Array", bytes: 2, make: Uint16Array },
  { name: "Int32Array", bytes: 4, make: Int32Array },
  { name: "Uint32Array", bytes: 4, make: Uint32Array },
  { name: "Float32Array", bytes: 4, make: Float32Array },
  { name: "Float64Array", bytes: 8, make: Float64Array },
  { name: "BigInt64Array", bytes: 8, make: BigInt64Array },
  { name: "BigUint64Array", bytes: 8, make: BigUint64Array },
  { name: "DataView", bytes: 1, make: DataView },
  { name: "Float16Array", bytes: 2, make: Float16 },
];

export const KIND_COUNT = KINDS.length;

const kindByName = new Map(KINDS.map((kind, index) => [kind.name, index]));

const tagGetter = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag)
  ?.get as () => string | undefined;

/**
 * The number of a view's kind. Reads the engine's own tag, which no subclass and no other realm can change: a Buffer
 * is a Uint8Array.
 */
export function kindOf(view: ArrayBufferView): number {
  const name = tagGetter.call(view) ?? "DataView";
  if (name === "Uint8Array") return 0; // most of the time
  const kind = kindByName.get(name);
  if (kind === undefined) {
    throw new CarillonError("ERR_CARILLON_DATA_CLONE", `a ${name} cannot be sent by this version of Carillon`);
  }
  return kind;
}

/**
 * The number of a typed array's kind if it has at most `most` bytes, but some; else -1. It leaves `buffer` alone, whose first use moves
 * a short array's bytes out of the heap (1.2 µs, where making the array takes 40 ns).
 */
export function shortKind(value: unknown, most: number): number {
  if (typeof value !== "object" || value === null) return -1;
  const name = tagGetter.call(value);
  if (name === undefined) return -1;
  const kind = name === "Uint8Array" ? 0 : (kindByName.get(name) ?? -1);
  if (kind < 0) return -1;
  const bytes = bytesOf(kind, value as TypedArray);
  return bytes > 0 && bytes <= most ? kind : -1;
}

/** `byteLength` of a typed array of this kind, in half the time. */
export function bytesOf(kind: number, view: TypedArray): number {
  return kind === 0 ? view.length : view.length * (KINDS[kind] as Kind).bytes;
}

/** Views of `bytes` bytes of the same memory, by kind: what arrays of that kind are copied into without a look at their buffer. */
export function viewsOfEachKind(
  buffer: ArrayBufferLike,
  byteOffset: number,
  bytes: number,
): readonly (TypedTarget | undefined)[] {
  return KINDS.map(({ name, bytes: size, make }) =>
    make && name !== "DataView" ? (new make(buffer, byteOffset, bytes / size) as unknown as TypedTarget) : undefined,
  );
}

/** Bytes an element of what this constructor makes; undefined if it is no kind of view. */
export function bytesPerElement(type: unknown): number | undefined {
  return KINDS.find(({ make }) => make !== undefined && make === type)?.bytes;
}

/**
 * A view of this kind over these bytes: the same memory where alignment allows, a copy otherwise.
 * @throws CarillonError ERR_CARILLON_DATA_DECODE
 */
export function makeView(kind: number, buffer: ArrayBufferLike, byteOffset: number, byteLength: number) {
  const { name, bytes, make } = KINDS[kind] ?? rubbish(`there is no kind ${kind} of view`);
  if (make === undefined) return rubbish(`this version of Node.js has no ${name}`);
  if (byteLength % bytes !== 0) return rubbish(`${byteLength} bytes are no whole number of ${name} elements`);
  if (byteOffset % bytes === 0) return new make(buffer, byteOffset, byteLength / bytes);
  return new make(copyOf(buffer, byteOffset, byteLength), 0, byteLength / bytes);
}

export function copyOf(buffer: ArrayBufferLike, byteOffset: number, byteLength: number): ArrayBuffer {
  const copy = new Uint8Array(byteLength);
  copy.set(new Uint8Array(buffer, byteOffset, byteLength));
  return copy.buffer;
}

/** Nothing this version of Carillon would have written. */
export function rubbish(reason: string, cause?: unknown): never {
  throw new CarillonError(
    "ERR_CARILLON_DATA_DECODE",
    `the message cannot be decoded: ${reason}`,
    cause === undefined ? {} : { cause },
  );
}
