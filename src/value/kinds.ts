// The kinds of memory that travel as bare bytes, their numbers on the wire, and how to make each over received bytes.
// Not responsible for whether a sender's buffer may be used (check.ts).
import { CarillonError } from "../errors.js";

interface ViewConstructor {
  readonly name: string;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): ArrayBufferView;
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
  if (Object.getPrototypeOf(view) === Uint8Array.prototype) return 0; // most of the time
  const name = tagGetter.call(view) ?? "DataView";
  const kind = kindByName.get(name);
  if (kind === undefined) {
    throw new CarillonError("ERR_CARILLON_DATA_CLONE", `a ${name} cannot be sent by this version of Carillon`);
  }
  return kind;
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
