// How far a transfer and a computation pass at the same time, measured as Denis and Trahay do (ICPP 2016): start to send,
// compute, wait, and wait for the acknowledgement; the receiver likewise. Responsible for what both sides do in one pass, the
// same for every peer; what becomes of the times is in rows/overlap.ts.
import type { Workload } from "../harness/peer.js";
import { checkMark, mark } from "./payload.js";

export interface OverlapLink {
  /** Memory that this peer likes best. */
  memory(bytes: number): Uint8Array;
  /** Starts at once; settles when the memory may change again. */
  send(body: Uint8Array): Promise<unknown> | undefined;
  /** Asks at once; settles with the body. */
  receive(into: Uint8Array): Promise<Uint8Array>;
  /** A message without content, and the other side's. */
  signal(): Promise<unknown> | undefined;
  signalled(): Promise<unknown>;
}

export interface OverlapOrder {
  readonly passes: number;
  /** How many of them exchange something: none, where the computation alone is measured. */
  readonly exchanges: number;
  readonly bytes: number;
  /** How long each side computes: an amount of arithmetic, calibrated when nothing else happens. */
  readonly initiatorNs: number;
  readonly partnerNs: number;
}

/** What such a workload asks for; undefined if it is another one. */
export function overlapOrder(workload: Workload, passes: number): OverlapOrder | undefined {
  const [kind, bytes, ns] = workload.split(":");
  if (ns === undefined) return undefined;
  return {
    passes,
    exchanges: kind === "compute" ? 0 : passes,
    bytes: Number(bytes),
    initiatorNs: kind === "recv" ? 0 : Number(ns),
    partnerNs: kind === "recv" || kind === "both" ? Number(ns) : 0,
  };
}

export async function overlapPasses(
  link: OverlapLink,
  { passes, exchanges, bytes, initiatorNs }: OverlapOrder,
  times: Float64Array | undefined,
): Promise<void> {
  const iterations = iterationsIn(initiatorNs);
  const body = memory(link, bytes);
  for (let i = 0; i < passes; i++) {
    const exchange = i < exchanges;
    mark(body, i);
    if (exchange) await link.signalled(); // the receive is posted
    const start = performance.now();
    const sent = exchange ? link.send(body) : undefined;
    compute(iterations);
    if (exchange) {
      await sent;
      await link.signalled();
    }
    if (times) times[i] = performance.now() - start;
  }
}

export async function overlapPartner(
  link: OverlapLink,
  { exchanges, bytes, partnerNs }: Pick<OverlapOrder, "exchanges" | "bytes" | "partnerNs">,
): Promise<void> {
  const iterations = iterationsIn(partnerNs);
  const into = memory(link, bytes);
  for (let i = 0; i < exchanges; i++) {
    const received = link.receive(into);
    await link.signal();
    compute(iterations);
    checkMark(await received, bytes, i);
    await link.signal();
  }
}

/** By size: every batch uses the same memory. */
const memories = new Map<number, Uint8Array>();

function memory(link: OverlapLink, bytes: number): Uint8Array {
  const known = memories.get(bytes) ?? link.memory(bytes).fill(1);
  memories.set(bytes, known);
  return known;
}

let iterationsPerNs: number | undefined;
/** In memory of one type: a variable that held an integer first is kept in a box by code that was compiled then, 1.5 times as slow. */
const sink = new Float64Array(1);

/** Work, not waiting: what takes time from it makes it longer, which a loop that looks at the clock would hide. */
export function compute(iterations: number): void {
  let x = sink[0] as number;
  for (let i = 0; i < iterations; i++) x = Math.sqrt(x + i);
  sink[0] = x;
}

const CALIBRATION_ITERATIONS = 200_000;
const CALIBRATION_RUNS = 50;

/** How much of it takes so long when nothing else happens. */
export function iterationsIn(ns: number): number {
  if (ns === 0) return 0;
  if (iterationsPerNs === undefined) {
    let fastest = Number.POSITIVE_INFINITY;
    for (let i = 0; i < CALIBRATION_RUNS; i++) {
      const start = performance.now();
      compute(CALIBRATION_ITERATIONS);
      fastest = Math.min(fastest, (performance.now() - start) * 1e6);
    }
    iterationsPerNs = CALIBRATION_ITERATIONS / fastest;
  }
  return Math.round(ns * iterationsPerNs);
}
