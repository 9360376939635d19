// What the workloads send, the same for every peer, and the check that what came back is what was sent: nothing is
// measured that does not work.
import { serialize } from "node:v8";

export const MEBIBYTE = 2 ** 20;

interface Frame {
  step: number;
  grid: Float64Array;
}

function makeFrame(): Frame {
  return { step: 0, grid: Float64Array.from({ length: 1_000 }, (_, i) => Math.sin(i)) };
}

const TEXT = "Interrupt-driven message passing: a message rings its receiver; nobody stands at the door and polls."
  .padEnd(100, ".")
  .slice(0, 100);

/** A value of records, as programs have them, that v8.serialize makes about so many bytes of; some 20 at least. */
function makeRecords(bytes: number) {
  const make = (count: number) => ({
    step: 0,
    records: Array.from({ length: count }, (_, id) => ({ id, x: Math.sin(id), name: `cell ${id}` })),
  });
  const empty = serialize(make(0)).length;
  const perRecord = (serialize(make(1_000)).length - empty) / 1_000;
  return make(Math.max(0, Math.round((bytes - empty) / perRecord)));
}

/** Bytes of the short messages that come to a rank that computes. */
export const SHORT_BYTES = 64;
/** Longer ones go from and into memory that is used again, as a program would have it. */
export const REUSE_BYTES = 16_000;
/** What comes to a rank whose pool computes (rows/pool.ts); the short ones have SHORT_BYTES. */
export const FLOW = { shortPerSecond: 1_000, longPerSecond: 10, longBytes: 2 ** 20 } as const;
/** How many long messages are on their way at once: while one is received the next is prepared. */
export const WINDOW = 2;

/** The number behind the colon of a workload. */
export function bytesOf(workload: string): number {
  return Number(workload.split(":")[1]);
}

export function isBulk(workload: string): boolean {
  return workload.startsWith("bulk:");
}

/** A value that goes there and back: as it is sent in pass `i`, and how its answer shows that it is one to that. */
export interface Exchange<T = unknown> {
  next(i: number): T;
  check(answer: T, i: number): void;
}

/** By workload: every batch uses the same values. */
const exchanges = new Map<string, Exchange>();

/** Undefined: the workload is no exchange of values. */
export function exchangeOf(workload: string): Exchange | undefined {
  const known = exchanges.get(workload) ?? makeExchange(workload);
  if (known) exchanges.set(workload, known);
  return known;
}

function makeExchange(workload: string): Exchange | undefined {
  if (workload === "object") return stepped(makeFrame(), (frame) => frame.grid.length);
  if (workload.startsWith("object:")) return stepped(makeRecords(bytesOf(workload)), ({ records }) => records.length);
  if (workload !== "string") return undefined;
  return { next: () => TEXT, check: (answer) => checkStep(TEXT.length, (answer as string).length) };
}

function stepped<T extends { step: number }>(value: T, lengthOf: (value: T) => number): Exchange {
  return {
    next(i) {
      value.step = i;
      return value;
    },
    check(answer) {
      checkStep(value.step, (answer as T).step);
      checkStep(lengthOf(value), lengthOf(answer as T));
    },
  };
}

/** Bytes as they are. By size: every batch uses the same memory. */
const byteExchanges = new Map<number, Exchange<Uint8Array>>();

export function bytesExchange(bytes: number): Exchange<Uint8Array> {
  const known = byteExchanges.get(bytes) ?? makeBytesExchange(bytes);
  byteExchanges.set(bytes, known);
  return known;
}

function makeBytesExchange(bytes: number): Exchange<Uint8Array> {
  const body = new Uint8Array(bytes).fill(1);
  return {
    next(i) {
      mark(body, i);
      return body;
    },
    check: (answer, i) => checkMark(answer, bytes, i),
  };
}

/** The number of bytes that go there and back as bytes; undefined: another workload. */
export function echoBytesOf(workload: string): number | undefined {
  return workload.startsWith("bytes:") ? bytesOf(workload) : undefined;
}

/** The number of bytes of short messages that go one way; undefined: another workload. */
export function rateBytesOf(workload: string): number | undefined {
  return workload.startsWith("rate:") ? bytesOf(workload) : undefined;
}

/** The first and the last byte say which message it is: half a message is found out. */
export function mark(body: Uint8Array, i: number): void {
  body[0] = i & 255;
  body[body.length - 1] = i & 255;
}

export function checkMark(body: Uint8Array, bytes: number, i: number): void {
  checkStep(bytes, body.length);
  checkStep(i & 255, body[0]);
  checkStep(i & 255, body[bytes - 1]);
}

export function checkStep(sent: number, received: number | undefined): void {
  if (sent !== received) throw new Error(`another answer than asked for: sent ${sent}, received ${received}`);
}
