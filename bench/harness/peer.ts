// The peer contract: what the harness asks of every way of passing messages, Carillon's included.
// A new peer is a value of type Peer in peers/index.ts. Not responsible for how peers are measured (interleave.ts).
import type { Placement } from "./placement.js";

/**
 * What passes between the two processes of a peer: 8 bytes; `{ step, grid }` with a Float64Array of 1,000 numbers; a
 * string of 100 characters (these three there and back); 1 MiB one way.
 */
export type Workload = "bytes8" | "object" | "string" | "stream1m";

export interface Batch {
  readonly workload: Workload;
  /** `rate` looks at the clock twice, `each` around every single pass (which costs a clock reading each). */
  readonly mode: "rate" | "each";
  readonly count: number;
}

export interface Sample {
  /** Wall-clock time of the whole batch. */
  readonly nanoseconds: number;
  readonly count: number;
  /** Mode `each`: the time of every pass, in nanoseconds. */
  readonly each: readonly number[];
}

/** Two processes that are up, connected, and quiet until asked: an idle session must not use CPU time. */
export interface Session {
  /** Every process whose CPU time belongs to this peer. */
  readonly pids: readonly number[];
  /** @throws Error that says why, in one line */
  measure(batch: Batch): Promise<Sample>;
  stop(): Promise<void>;
}

export interface Peer {
  /** Stable, for JSON and targets. */
  readonly id: string;
  /** What a reader calls it. */
  readonly name: string;
  /** @throws Error that says why this peer cannot run here, in one line */
  start(placement: Placement): Promise<Session>;
}
