// The peer contract: what the harness asks of every way of passing messages, Carillon's included.
// A new peer is a value of type Peer in peers/index.ts. Not responsible for how peers are measured (interleave.ts).
import type { Placement } from "./placement.js";

/**
 * What passes between the two processes of a peer. There and back: `bytes:BYTES`; `{ step, grid }` with a Float64Array of 1,000
 * numbers; `object:BYTES`, about; a string of 100 characters. One way: 1 MiB, one after the other; `rate:BYTES`, short ones as fast as the
 * receiver takes them; `bulk:BYTES`, double-buffered. `wake`: one way to a sleeper. What a row has of its own has its own words, in the file of that row's programs.
 */
export type Workload =
  | `bytes:${number}`
  | "object"
  | `object:${number}`
  | "string"
  | "stream1m"
  | `rate:${number}`
  | `bulk:${number}`
  | `${OverlapSide | "compute"}:${number}:${number}`
  | "wake"
  | MatchPattern
  | DoorbellWorkload;

/**
 * `SIDE:BYTES:NS`: one message and its acknowledgement, while that side computes for NS; `compute:0:NS` is the
 * computation alone (peers/overlap.ts).
 */
export type OverlapSide = "send" | "recv" | "both";

/** What is posted, or waits, beside the message that is matched (peers/match-program.ts). */
export type MatchPattern = "posted-last" | "posted-any" | "unexpected-behind" | "unexpected-any";

/** `KIND:BYTES`, to a receiver in some state (peers/doorbell-program.ts, native/reaction.c). */
export type DoorbellWorkload = `${"pingpong" | "answer" | "react-idle" | "react-computing"}:${number}`;

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

/** Two processes (or threads) that are up, connected, and quiet until asked: an idle session must not use CPU time. */
export interface Session {
  /** Every process whose CPU time belongs to this peer. */
  readonly pids: readonly number[];
  /** The two threads that talk, as the kernel numbers them (the main thread of a process has its number); none where one works alone. */
  readonly talkers: readonly number[];
  /** @throws Error that says why, in one line */
  measure(batch: Batch): Promise<Sample>;
  /** What a reader should know of how this peer did it, when all is measured. */
  remark?(): Promise<string | undefined>;
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
