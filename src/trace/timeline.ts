// The file that CARILLON_TRACE names: checked before anything runs, the ranks' buffers meanwhile, written when they have ended.
// Responsible for the buffers of a job's ranks, which their launcher holds, so that nothing is lost with a killed rank and nothing is left in
// any file system; not for recording (native/trace) nor for what the events become (merge.ts).
import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { CarillonError } from "../errors.js";
import { native } from "../native.js";
import { TraceBuffer } from "./buffer.js";
import { merge, type Part, type TraceEvent } from "./merge.js";
import { cannotWrite, type TraceWish, traceWish } from "./wish.js";

/** Characters that are written at once. */
const CHUNK = 1 << 20;

export class Timeline {
  readonly #wish: TraceWish;
  readonly #descriptors: number[] = [];
  #written = false;

  /**
   * Of a job of so many ranks, as its environment asks for it. `own`: the buffer that this process, rank 0, has already.
   * @throws CarillonError ERR_CARILLON_TRACE_FAILED, ERR_CARILLON_ENVIRONMENT
   */
  static of(environment: NodeJS.ProcessEnv, size: number, own = -1): Timeline {
    return new Timeline(traceWish(environment), size, own);
  }

  private constructor(wish: TraceWish, size: number, own: number) {
    this.#wish = wish;
    for (let rank = 0; rank < size; rank++) {
      const made = rank === 0 && own >= 0 ? own : native().makeTraceBuffer(wish.events);
      if (typeof made === "string") {
        this.#close(own);
        const message = `CARILLON_TRACE: no memory for ${wish.events} events of each of ${size} ranks: ${made}; fewer fit with CARILLON_TRACE_EVENTS`;
        throw new CarillonError("ERR_CARILLON_TRACE_FAILED", message);
      }
      this.#descriptors.push(made);
    }
  }

  /** Where a rank on this machine finds its buffer. */
  path(rank: number): string {
    return `/proc/${process.pid}/fd/${this.#descriptors[rank]}`;
  }

  /**
   * Writes what is there now, once, and gives the buffers back. Returns what is to be told (writeTimeline).
   */
  write(own = -1): string[] {
    if (this.#written) return [];
    this.#written = true;
    try {
      return writeTimeline(this.#wish, this.#descriptors);
    } finally {
      this.#close(own);
    }
  }

  #close(own: number): void {
    for (const descriptor of this.#descriptors) if (descriptor !== own) closeSync(descriptor);
  }
}

/** Writes the events of ranks 0, 1, … in these buffers. Returns what is to be told: that events were lost, or that the file could not be written. */
export function writeTimeline({ file, events }: TraceWish, descriptors: readonly number[]): string[] {
  let parts: Part[];
  try {
    parts = descriptors.map((descriptor, rank) => ({ rank, buffer: new TraceBuffer(descriptor) }));
    writeParts(file, parts);
  } catch (cause) {
    const { message, code } = cannotWrite(file, cause);
    return [`${message} [${code}]`];
  }
  return parts
    .filter(({ buffer }) => buffer.lost > 0)
    .map(({ rank, buffer }) => {
      const lost = buffer.lost.toLocaleString("en-US");
      return `the timeline of rank ${rank} is full: it lost its last ${lost} events (CARILLON_TRACE_EVENTS=${events})`;
    });
}

function writeParts(file: string, parts: readonly Part[]): void {
  const descriptor = openSync(file, "w");
  try {
    let text = '{"traceEvents":[';
    let separator = "\n";
    const flush = () => {
      writeAll(descriptor, text);
      text = "";
    };
    const begins = merge(parts, clock(parts), (event: TraceEvent) => {
      text += separator + JSON.stringify(event);
      separator = ",\n";
      if (text.length > CHUNK) flush();
    });
    const lost = Object.fromEntries(parts.map(({ rank, buffer }) => [rank, buffer.lost]));
    const ranks = Object.fromEntries(
      parts.map(({ rank, buffer }) => [rank, { process: buffer.process, doorbell: buffer.doorbell }]),
    );
    const otherData = { clock: "CLOCK_MONOTONIC", beginsAtNs: Math.round(begins), lostEvents: lost, ranks };
    text += `\n],\n"displayTimeUnit":"ns",\n"otherData":${JSON.stringify(otherData)}}\n`;
    flush();
  } catch (error) {
    // Better none than one that no viewer opens.
    try {
      ftruncateSync(descriptor);
    } catch {}
    throw error;
  } finally {
    closeSync(descriptor);
  }
}

/** From ticks, of which all processes of a machine have the same, to nanoseconds, by two moments that are known by both clocks. */
function clock(parts: readonly Part[]): (ticks: number) => number {
  const anchor = parts[0]?.buffer.anchor ?? { ticks: 0, ns: 0 };
  const [ticks, ns] = native().traceClocks().map(Number) as [number, number];
  const perTick = ticks > anchor.ticks ? (ns - anchor.ns) / (ticks - anchor.ticks) : 1;
  return (at) => anchor.ns + (at - anchor.ticks) * perTick;
}

function writeAll(descriptor: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let done = 0; done < bytes.length; ) done += writeSync(descriptor, bytes, done);
}
