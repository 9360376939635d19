// What JavaScript adds to a timeline: names of threads, the spans that programs measure with performance.measure(), tasks of pools.
// Not responsible for what native code records (native/trace) nor for the file (timeline.ts).
import type { PerformanceObserver as Observer, PerformanceEntry } from "node:perf_hooks";
import { isMainThread, threadId } from "node:worker_threads";
import { native } from "../native.js";
import { Kind } from "./buffer.js";

/** What the buffer has place for (native/trace/trace.h): so many names of so many bytes. */
const MOST_NAMES = 512;
const MOST_BYTES = 60;

/** Numbers of names that this thread has in the buffer. */
const names = new Map<string, number>();

function numberOf(name: string): number {
  let number = names.get(name);
  if (number === undefined) {
    if (names.size >= MOST_NAMES) return 0; // that of the names that found no place
    let short = name.slice(0, MOST_BYTES);
    while (Buffer.byteLength(short) > MOST_BYTES) short = short.slice(0, -1);
    number = native().traceName(short);
    names.set(name, number);
  }
  return number;
}

/** When `performance.now()` was 0 in this thread, by the clock that native code has. */
let origin: number | undefined;

/** Of some readings the one that nothing came between. */
function measureOrigin(): number {
  let best = 0;
  let shortest = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 16; i++) {
    const before = performance.now();
    const [seconds, nanoseconds] = process.hrtime();
    const after = performance.now();
    if (after - before >= shortest) continue;
    shortest = after - before;
    best = seconds * 1e3 + nanoseconds / 1e6 - (before + after) / 2;
  }
  return best;
}

function record(kind: number, name: string, startTime: number, duration: number): void {
  origin ??= measureOrigin();
  native().traceSpan(kind, numberOf(name), origin + startTime, duration);
}

/** This thread is in a world of which a timeline is recorded. */
export class Recording {
  readonly #observer: Observer;

  constructor() {
    nameThread();
    this.#observer = new PerformanceObserver((list) => this.#add(list.getEntries()));
    this.#observer.observe({ entryTypes: ["measure", "mark"] });
  }

  /** It leaves. */
  end(): void {
    this.#add(this.#observer.takeRecords());
    this.#observer.disconnect();
  }

  #add(entries: readonly PerformanceEntry[]): void {
    for (const { entryType, name, startTime, duration } of entries)
      record(entryType === "mark" ? Kind.mark : Kind.user, name, startTime, duration);
  }
}

function nameThread(): void {
  native().traceThread(isMainThread ? "main" : `worker ${threadId}`);
}

/** A task of a pool has run on this thread since `startTime`, in a world or not. */
export function recordTask(name: string, startTime: number): void {
  if (!isNamed) nameThread();
  isNamed = true;
  record(Kind.task, name, startTime, performance.now() - startTime);
}
let isNamed = false;
