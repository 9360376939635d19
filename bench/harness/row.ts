// What a row is: a question put to several peers at once, answered with numbers. A new row is a value of type Row in
// rows/index.ts. Not responsible for printing (table.ts) nor for judging (targets.ts).
import type { OverlapSide } from "./peer.js";
import type { Placement } from "./placement.js";

/** Numbers by name; the name ends in the unit (`medianNs`, `cpuSecondsPerMillion`). They go into JSON as they are. */
export type Values = Readonly<Record<string, number>>;

export interface Column {
  readonly key: string;
  readonly title: string;
  readonly format: (value: number) => string;
}

export interface Result {
  readonly peer: string;
  readonly name: string;
  readonly values?: Values;
  /** Why there are no values. */
  readonly unavailable?: string;
  /** What a reader must know about this figure. */
  readonly note?: string;
  /** The headline of each round, in the order measured: shows drift and two-humped behaviour. */
  readonly rounds?: readonly number[];
}

/** The picture of a report that a row is a part of, and where it stands in it. Messages of `bytes`; `state` of the receiver. */
export type Figure =
  | { readonly kind: "latency" | "latency-object" | "bandwidth" | "rate"; readonly bytes: number }
  | { readonly kind: "overlap" | "overlap-total"; readonly bytes: number; readonly side: OverlapSide }
  | { readonly kind: "reaction"; readonly bytes: number; readonly state: string };

export interface Context {
  readonly quick: boolean;
  /** How often every peer gets its turn. */
  readonly rounds: number;
  /** How long one turn takes, about. */
  readonly batchNs: number;
  /** A folder for sockets and binaries that is removed at the end. */
  readonly folder: string;
  readonly progress: (detail: string) => void;
}

export interface Row {
  /** Stable, for `--only`, JSON and targets: `roundtrip-8B/apart`. */
  readonly id: string;
  readonly title: string;
  /** How the figures came about, one line. */
  readonly about: string;
  readonly placement?: Placement;
  readonly figure?: Figure;
  readonly columns: readonly Column[];
  /** The value that ratios are made of; smaller is better. */
  readonly headline: string;
  /** Whose headline is 1; default Carillon as it is by default, or the fastest where Carillon did not run. */
  readonly reference?: { readonly peer: string; readonly title: string };
  /** How many CPUs its question needs to itself; default two where two processes are not pinned to one. */
  readonly cpus?: number;
  /** Left out of a quick run, unless nothing else was asked for. */
  readonly thorough?: boolean;
  run(context: Context): Promise<Result[]>;
}

export interface Answered {
  readonly row: Row;
  readonly results: readonly Result[];
}
