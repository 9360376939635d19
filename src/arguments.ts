// Checks of what a user passed to a communicator, each with an error that says what was asked and what was found.
// Not responsible for values that are sent (value.ts).
import { CarillonError } from "./errors.js";
import { Lease } from "./lease.js";
import { native } from "./native.js";
import { ANY_SOURCE, ANY_TAG } from "./options.js";
import { ScatterList } from "./scatter.js";
import { checkView } from "./value.js";

/** The largest tag. */
export const MOST_TAG = 2 ** 31 - 1;
/** Views that native code gathers; more are copied together first. */
const MOST_PARTS = 64;
/** A message up to this needs no look at the native limit. */
const SURELY_ALLOWED = 2 ** 20;

/** An error for what is not what was asked for. */
export function wrong(what: string, asked: string, found: unknown): CarillonError {
  const shown = typeof found === "string" ? JSON.stringify(found) : String(found);
  return new CarillonError("ERR_CARILLON_INVALID_ARGUMENT", `${what} must be ${asked}, not ${shown}`);
}

/** @throws CarillonError ERR_CARILLON_INVALID_RANK */
export function checkRank(rank: unknown, what: string, size: number, any: boolean): void {
  if (Number.isInteger(rank) && (rank as number) >= (any ? ANY_SOURCE : 0) && (rank as number) < size) return;
  const range = size === 1 ? "0 (there is one rank)" : `a rank from 0 to ${size - 1}`;
  throw new CarillonError(
    "ERR_CARILLON_INVALID_RANK",
    `${what} must be ${range}${any ? " or ANY_SOURCE" : ""}, not ${typeof rank === "string" ? JSON.stringify(rank) : String(rank)}`,
  );
}

/** @throws CarillonError ERR_CARILLON_INVALID_TAG */
export function checkTag(tag: unknown, any: boolean): void {
  if (Number.isInteger(tag) && (tag as number) >= (any ? ANY_TAG : 0) && (tag as number) <= MOST_TAG) return;
  throw new CarillonError(
    "ERR_CARILLON_INVALID_TAG",
    `tag must be an integer from 0 to ${MOST_TAG}${any ? " or ANY_TAG" : ""}, not ${typeof tag === "string" ? JSON.stringify(tag) : String(tag)}`,
  );
}

/**
 * The payload as native code takes it: few enough parts.
 * @throws CarillonError ERR_CARILLON_INVALID_BUFFER
 */
export function checkSize(
  payload: ArrayBufferView | readonly ArrayBufferView[],
): ArrayBufferView | readonly ArrayBufferView[] {
  if (ArrayBuffer.isView(payload)) {
    if (payload.byteLength > SURELY_ALLOWED && payload.byteLength > native().maxMessageBytes) {
      throw tooLarge(payload.byteLength, native().maxMessageBytes);
    }
    return payload;
  }
  const most = native().maxMessageBytes;
  let bytes = 0;
  for (const part of payload) bytes += part.byteLength;
  if (bytes > most) throw tooLarge(bytes, most);
  if (payload.length <= MOST_PARTS) return payload;
  const whole = new Uint8Array(bytes);
  let offset = 0;
  for (const part of payload) {
    whole.set(new Uint8Array(part.buffer, part.byteOffset, part.byteLength), offset);
    offset += part.byteLength;
  }
  return whole;
}

function tooLarge(bytes: number, most: number): CarillonError {
  return new CarillonError("ERR_CARILLON_INVALID_BUFFER", `a message may have ${most} bytes, this one has ${bytes}`, {
    byteLength: bytes,
  });
}

/**
 * `into`, checked.
 * @throws CarillonError ERR_CARILLON_INVALID_ARGUMENT, _INVALID_BUFFER or _BUFFER_DETACHED
 */
export function memoryOf(into: unknown): Uint8Array | ScatterList | undefined {
  if (into === undefined) return undefined;
  if (!Array.isArray(into)) return bytesOf(into, "into");
  return new ScatterList(Array.from(into, (view, i) => bytesOf(view, `into[${i}]`)));
}

function bytesOf(given: unknown, what: string): Uint8Array {
  const into = given instanceof Lease ? given.memory() : given;
  if (!ArrayBuffer.isView(into) && !(into instanceof ArrayBuffer) && !(into instanceof SharedArrayBuffer)) {
    throw wrong(what, "a typed array, DataView, ArrayBuffer, SharedArrayBuffer or Lease", into);
  }
  checkView(into, what);
  if (into instanceof Uint8Array && !(into instanceof Buffer)) return into;
  if (ArrayBuffer.isView(into)) return new Uint8Array(into.buffer, into.byteOffset, into.byteLength);
  return new Uint8Array(into as ArrayBuffer);
}

/** @internal @throws what an aborted signal says, or CarillonError ERR_CARILLON_INVALID_ARGUMENT if it is none */
export function checkSignal(signal: AbortSignal | undefined): void {
  if (signal === undefined) return;
  checkIsSignal(signal);
  signal.throwIfAborted();
}

/** @internal @throws CarillonError ERR_CARILLON_INVALID_ARGUMENT if it is none; aborted it may be */
export function checkIsSignal(signal: AbortSignal | undefined): void {
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw wrong("signal", "an AbortSignal", signal);
}

/**
 * Bytes of a ring: a power of two, at least what was asked for.
 * @throws CarillonError ERR_CARILLON_INVALID_ARGUMENT
 */
export function ringBytes(byteCapacity: unknown): number {
  if (Number.isInteger(byteCapacity) && (byteCapacity as number) >= 1024 && (byteCapacity as number) <= 2 ** 30) {
    return 2 ** Math.ceil(Math.log2(byteCapacity as number));
  }
  throw wrong("byteCapacity", "a whole number from 1,024 to 2^30", byteCapacity);
}
