// What the methods of a communicator take: option types, and the wildcards. Not responsible for checking them (arguments.ts).
import type { Lease } from "./lease.js";
import type { ReduceOperator } from "./reduction.js";

/** Matches a message from any rank. */
export const ANY_SOURCE = -1;
/** Matches a message with any tag. */
export const ANY_TAG = -1;

/** Where a message goes, under which tag, and when its send settles. */
export interface SendOptions {
  /** The rank to send to. */
  dest: number;
  /** 0 to 2147483647; default 0. */
  tag?: number;
  /** Settle when the receiver has matched the message, not when it has left. Default: false; messages above `eagerBytes` always do. */
  synchronous?: boolean;
  /** Aborting takes the send back if nobody has matched it: it rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** Memory to receive into: its bytes are what counts, whatever its type. */
export type Memory = ArrayBufferView | ArrayBuffer | SharedArrayBuffer | Lease<ArrayBufferView>;

/** Which messages: by source and tag. Tags of messages are 0 to 2147483647. */
export interface ProbeOptions {
  /** A rank; default ANY_SOURCE. */
  source?: number;
  /** Default ANY_TAG. */
  tag?: number;
}

/** Which message, and where its bytes go. */
export interface RecvOptions {
  /** A rank; default ANY_SOURCE. */
  source?: number;
  /** Default ANY_TAG. */
  tag?: number;
  /**
   * The caller's memory for the bytes; a message larger than it rejects with ERR_CARILLON_TRUNCATED. A list is filled in
   * order, as if it were one piece, with the bytes of what was sent: of an array of views the views' bytes only, of any other value
   * its bytes on the wire.
   */
  into?: Memory | readonly Memory[];
  /** Aborting takes the receive back if nothing has matched it: it rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** Which messages a stream takes, and how far ahead. */
export interface MessagesOptions {
  /** A rank; default ANY_SOURCE. */
  source?: number;
  /** Default ANY_TAG. */
  tag?: number;
  /**
   * Bytes of messages, with 32 for each, that are taken ahead of the consumer: 1,024 to 2^30, rounded up to a power of two; default
   * 262,144. A message of more than half of it is taken when it is asked for.
   */
  byteCapacity?: number;
  /** Aborting stops what was begun, with the signal's reason as its error. */
  signal?: AbortSignal | undefined;
}

/** Where one message goes and which other is received. */
export interface SendrecvOptions {
  /** The rank to send to. */
  dest: number;
  /** The rank to receive from, or ANY_SOURCE; default: `dest`. */
  source?: number;
  /** Of what is sent; default 0. */
  tag?: number;
  /** Of what is received, or ANY_TAG; default: `tag`. */
  recvTag?: number;
  /** As for `recv`. */
  into?: Memory | readonly Memory[];
  /** Aborting takes back what of the two nobody has matched; it rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** What every collective takes. */
export interface CollectiveOptions {
  /** Aborting makes the collective reject on every rank that has not completed it. */
  signal?: AbortSignal | undefined;
}

/** Of a collective that has a root. */
export interface RootedOptions extends CollectiveOptions {
  /** Default 0; the same on every rank. */
  root?: number;
}

/** How `allreduce` combines, and where the result goes. */
export interface AllreduceOptions<T> extends CollectiveOptions {
  /** The same on every rank. */
  op: ReduceOperator<T>;
  /** Memory for the result, of data's type and length: data itself, perhaps. Default: new memory. */
  into?: T;
}

/** How `reduce` combines, and where the result goes. */
export interface ReduceOptions<T> extends AllreduceOptions<T> {
  /** Default 0; the same on every rank. */
  root?: number;
}

/** @internal */
export interface UncheckedReduceOptions extends RootedOptions {
  op: unknown;
  into?: unknown;
}
