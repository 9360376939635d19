// Point to point: send and recv, and the checks of what a user passed. World extends it.
// Not responsible for how requests complete (thread.ts) nor for what values become (value.ts).
import { CarillonError } from "./errors.js";
import { Lease } from "./lease.js";
import type { Message } from "./message.js";
import { native, SendFlag } from "./native.js";
import { Request } from "./request.js";
import type { Thread } from "./thread.js";
import { checkView, encode } from "./value.js";

/** Matches a message from any rank. */
export const ANY_SOURCE = -1;
/** Matches a message with any tag. */
export const ANY_TAG = -1;

const MOST_TAG = 2 ** 31 - 1;
/** Views that native code gathers; more are copied together first. */
const MOST_PARTS = 64;
/** A message up to this needs no look at the native limit. */
const SURELY_ALLOWED = 2 ** 20;

export interface SendOptions {
  /** The rank to send to. */
  dest: number;
  /** 0 to 2147483647; default 0. */
  tag?: number;
  /** Settle when the receiver has matched the message, not when it has left. */
  synchronous?: boolean;
  signal?: AbortSignal | undefined;
}

export interface RecvOptions {
  /** A rank; default ANY_SOURCE. */
  source?: number;
  /** Default ANY_TAG. */
  tag?: number;
  /** The caller's memory for the bytes; a message larger than it rejects with ERR_CARILLON_TRUNCATED. */
  into?: ArrayBufferView | ArrayBuffer | SharedArrayBuffer | Lease<ArrayBufferView>;
  signal?: AbortSignal | undefined;
}

export abstract class Communicator {
  /** This process's number in the communicator, 0 to size - 1. */
  readonly rank: number;
  /** How many ranks the communicator has. */
  readonly size: number;
  readonly #context: number;
  /** @internal Undefined once this thread has closed the world. */
  protected thread: Thread | undefined;

  /** @internal */
  constructor(thread: Thread, rank: number, size: number, context: number) {
    this.thread = thread;
    this.rank = rank;
    this.size = size;
    this.#context = context;
  }

  /**
   * Sends any structured-clonable value; a view, or an array of views gathered into one message, as the bytes it covers.
   * What is sent may not change until the request settles: at once for messages up to 16,000 bytes while the receiver keeps up,
   * when the receiver has taken the body for larger ones. A lease is handed over: it is detached here, whatever becomes of the
   * request, unless this rejects because of an argument.
   *
   * Rejects with ERR_CARILLON_INVALID_RANK, _INVALID_TAG, _INVALID_ARGUMENT, _DATA_CLONE, _INVALID_BUFFER, _BUFFER_DETACHED,
   * _LEASE_RELEASED, _LEASE_IN_USE, _CLOSED, _PEER_CLOSED, _PEER_LOST, or the signal's reason.
   */
  send(value: unknown, options: SendOptions): Request<void> {
    const { dest, tag = 0, synchronous = false, signal } = options ?? {};
    try {
      const thread = this.#open("send", signal);
      checkRank(dest, "dest", this.size, false);
      checkTag(tag, false);
      if (value instanceof Lease) return thread.sendLease(dest, tag, this.#context, synchronous, value, signal);
      const { encoding, payload, owned, shared } = encode(value);
      const parts = checkSize(payload);
      const flags =
        (synchronous ? SendFlag.synchronous : 0) | (owned || shared || parts !== payload ? SendFlag.stable : 0);
      return thread.send(dest, tag, this.#context, encoding, flags, parts, signal);
    } catch (error) {
      return new Request<void>({ name: "send", peer: dest, tag }).fail(error);
    }
  }

  /**
   * Receives one message. Of several waiting receives that match, the one posted first takes it, over all threads of the rank.
   *
   * Rejects with ERR_CARILLON_INVALID_RANK, _INVALID_TAG, _INVALID_ARGUMENT, _TRUNCATED, _CANCELLED, _CLOSED, _PEER_CLOSED,
   * _PEER_LOST, _INVALID_BUFFER, _BUFFER_DETACHED, or the signal's reason.
   */
  recv<T = unknown>(options: RecvOptions = {}): Request<Message<T>> {
    const { source = ANY_SOURCE, tag = ANY_TAG, into, signal } = options ?? {};
    try {
      const thread = this.#open("recv", signal);
      checkRank(source, "source", this.size, true);
      checkTag(tag, true);
      return thread.recv(source, tag, this, this.#context, into === undefined ? undefined : bytesOf(into), signal);
    } catch (error) {
      return new Request<Message<T>>({ name: "recv", peer: source, tag }).fail(error);
    }
  }

  #open(what: string, signal: AbortSignal | undefined): Thread {
    if (!this.thread) throw new CarillonError("ERR_CARILLON_CLOSED", `${what}: the world was closed`);
    if (signal !== undefined) {
      if (!(signal instanceof AbortSignal)) throw wrong("signal", "an AbortSignal", signal);
      signal.throwIfAborted();
    }
    return this.thread;
  }
}

function wrong(what: string, asked: string, found: unknown): CarillonError {
  const shown = typeof found === "string" ? JSON.stringify(found) : String(found);
  return new CarillonError("ERR_CARILLON_INVALID_ARGUMENT", `${what} must be ${asked}, not ${shown}`);
}

function checkRank(rank: unknown, what: string, size: number, any: boolean): void {
  if (Number.isInteger(rank) && (rank as number) >= (any ? ANY_SOURCE : 0) && (rank as number) < size) return;
  const range = size === 1 ? "0 (the world has one rank)" : `a rank from 0 to ${size - 1}`;
  throw new CarillonError(
    "ERR_CARILLON_INVALID_RANK",
    `${what} must be ${range}${any ? " or ANY_SOURCE" : ""}, not ${typeof rank === "string" ? JSON.stringify(rank) : String(rank)}`,
  );
}

function checkTag(tag: unknown, any: boolean): void {
  if (Number.isInteger(tag) && (tag as number) >= (any ? ANY_TAG : 0) && (tag as number) <= MOST_TAG) return;
  throw new CarillonError(
    "ERR_CARILLON_INVALID_TAG",
    `tag must be an integer from 0 to ${MOST_TAG}${any ? " or ANY_TAG" : ""}, not ${typeof tag === "string" ? JSON.stringify(tag) : String(tag)}`,
  );
}

function checkSize(
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

function bytesOf(given: unknown): Uint8Array {
  const into = given instanceof Lease ? given.memory("recv") : given;
  if (!ArrayBuffer.isView(into) && !(into instanceof ArrayBuffer) && !(into instanceof SharedArrayBuffer)) {
    throw wrong("into", "a typed array, DataView, ArrayBuffer, SharedArrayBuffer or Lease", into);
  }
  checkView(into, "into");
  if (into instanceof Uint8Array && !(into instanceof Buffer)) return into;
  if (ArrayBuffer.isView(into)) return new Uint8Array(into.buffer, into.byteOffset, into.byteLength);
  return new Uint8Array(into as ArrayBuffer);
}
