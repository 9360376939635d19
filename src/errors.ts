// The one error class of Carillon and its stable codes.

/** Stable codes: match on these, never on messages. */
export type CarillonErrorCode =
  /** An argument of the wrong type or value; the message says what was asked and found. */
  | "ERR_CARILLON_INVALID_ARGUMENT"
  /** dest, source or root is no rank of this communicator. */
  | "ERR_CARILLON_INVALID_RANK"
  /** A tag that is no integer from 0 to 2147483647. */
  | "ERR_CARILLON_INVALID_TAG"
  /** A buffer that cannot be used: resizable, growable, or too large. */
  | "ERR_CARILLON_INVALID_BUFFER"
  /** A buffer was detached (transferred) before or while it was in use. */
  | "ERR_CARILLON_BUFFER_DETACHED"
  /** The lease, or the message, was sent or released: its memory is gone. */
  | "ERR_CARILLON_LEASE_RELEASED"
  /** A lease cannot be sent while requests read or write its memory. */
  | "ERR_CARILLON_LEASE_IN_USE"
  /** The value cannot be cloned. */
  | "ERR_CARILLON_DATA_CLONE"
  /** The bytes received are no encoding this version knows. */
  | "ERR_CARILLON_DATA_DECODE"
  /** The message is larger than `into`; byteLength says how large. The message stays first in line. */
  | "ERR_CARILLON_TRUNCATED"
  /** The request was cancelled; or, receiving an offer, the message was, by its sender. */
  | "ERR_CARILLON_CANCELLED"
  /** The offer was received or given back already. */
  | "ERR_CARILLON_OFFER_TAKEN"
  /** The world was closed in this thread, or the communicator freed. */
  | "ERR_CARILLON_CLOSED"
  /** This thread has joined already. */
  | "ERR_CARILLON_ALREADY_JOINED"
  /** The launcher's environment (CARILLON_*) is incomplete or nonsense. */
  | "ERR_CARILLON_ENVIRONMENT"
  /** Another process has joined as this rank. */
  | "ERR_CARILLON_RANK_TAKEN"
  /** The world could not form; the message says why. */
  | "ERR_CARILLON_JOIN_FAILED"
  /** The doorbell that was asked for by name does not work here; the message says why. */
  | "ERR_CARILLON_DOORBELL_UNAVAILABLE"
  /** The only peer that could complete the request has left. */
  | "ERR_CARILLON_PEER_CLOSED"
  /** The only peer that could complete the request has died. */
  | "ERR_CARILLON_PEER_LOST"
  /** The peer wrote what no Carillon writes; its connection is over. */
  | "ERR_CARILLON_PEER_PROTOCOL"
  /** The body could not be read out of its sender's memory (not that it is forbidden: then bodies come in packets). */
  | "ERR_CARILLON_PULL_FORBIDDEN"
  /** Members of a communicator called different collectives, or one with different roots, operations, types or lengths. */
  | "ERR_CARILLON_COLLECTIVE_MISMATCH"
  /** A collective failed at another member; `rank` and the message say where and why. */
  | "ERR_CARILLON_COLLECTIVE_FAILED"
  /** Only another thread may: of the world's collectives the first that called one, of a queue the one that made it. */
  | "ERR_CARILLON_OTHER_THREAD"
  /** A rank has made more communicators than there are numbers for: some millions. */
  | "ERR_CARILLON_TOO_MANY_COMMUNICATORS"
  /** The timeline that CARILLON_TRACE asks for cannot be recorded or written; the message says why. */
  | "ERR_CARILLON_TRACE_FAILED"
  /** Memory or descriptors that a request or a lease needs cannot be had. */
  | "ERR_CARILLON_OUT_OF_MEMORY"
  /** Not Linux on x64 or arm64: the import works, `World.join` does not. */
  | "ERR_CARILLON_UNSUPPORTED_PLATFORM"
  /** The native addon, or `carillon-exec`, is not there or cannot be loaded; the message says why. */
  | "ERR_CARILLON_NATIVE_MISSING"
  /** A script or command to launch does not exist or cannot be run. */
  | "ERR_CARILLON_LAUNCH_FAILED";

/** What a CarillonError knows beside its code and message; absent where it has nothing to say. */
export interface CarillonErrorDetails extends ErrorOptions {
  /** The rank the error speaks of, as the communicator counts. */
  rank?: number;
  /** The tag of the message or request. */
  tag?: number;
  /** Size in bytes of the message that did not fit. */
  byteLength?: number;
}

/**
 * Every error that Carillon makes. `code` is stable, `message` says what was asked, what was found and what to do, and is not. All
 * codes, when each is raised and what helps: docs/guarantees.md.
 */
export class CarillonError extends Error {
  /** Always "CarillonError". */
  override readonly name = "CarillonError";
  /** What went wrong, for programs. */
  readonly code: CarillonErrorCode;
  // Declared only: what an error does not say is no property of it, and is not printed.
  /** The rank the error speaks of, as the communicator counts. */
  declare readonly rank?: number;
  /** The tag of the message or request. */
  declare readonly tag?: number;
  /** Of ERR_CARILLON_TRUNCATED and too large messages: how many bytes the message has. */
  declare readonly byteLength?: number;

  constructor(code: CarillonErrorCode, message: string, details: CarillonErrorDetails = {}) {
    super(message, "cause" in details ? { cause: details.cause } : undefined);
    this.code = code;
    if (details.rank !== undefined) this.rank = details.rank;
    if (details.tag !== undefined) this.tag = details.tag;
    if (details.byteLength !== undefined) this.byteLength = details.byteLength;
  }

  /** @internal Says what was being done, where this was made by who did not know: begins the message with it. */
  during(what: string, details: Pick<CarillonErrorDetails, "rank" | "tag"> = {}): this {
    const { message, stack } = this;
    this.message = `${what}: ${message}`;
    if (stack) this.stack = stack.replace(message, () => this.message);
    return Object.assign(this, details);
  }
}
