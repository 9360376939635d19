// Whether a timeline is asked for (CARILLON_TRACE), and where this process's events go. Refuses before anything runs.
// Not responsible for what is recorded there (native/trace, recording.ts) nor for the file (timeline.ts).
import { closeSync, openSync } from "node:fs";
import { resolve } from "node:path";
import { CarillonError } from "../errors.js";
import { native } from "../native.js";

/** Of each rank; 64 bytes each. */
const EVENTS = 1 << 18;
const MOST_EVENTS = 1 << 26;

/** The timeline that was asked for. */
export interface TraceWish {
  /** An absolute path. */
  readonly file: string;
  /** How many events of each rank it holds. */
  readonly events: number;
}

/**
 * What the environment asks for, which names a file; that can be written.
 * @throws CarillonError ERR_CARILLON_TRACE_FAILED, ERR_CARILLON_ENVIRONMENT
 */
export function traceWish(environment: NodeJS.ProcessEnv): TraceWish {
  const { CARILLON_TRACE: file = "", CARILLON_TRACE_EVENTS: events } = environment;
  const most = events === undefined ? EVENTS : /^\d{1,9}$/.test(events) ? Number(events) : 0;
  if (most < 1 || most > MOST_EVENTS) {
    const message = `CARILLON_TRACE_EVENTS must be a whole number from 1 to ${MOST_EVENTS}, not ${JSON.stringify(events)}`;
    throw new CarillonError("ERR_CARILLON_ENVIRONMENT", message);
  }
  const wish = { file: resolve(file), events: most };
  try {
    closeSync(openSync(wish.file, "a"));
  } catch (cause) {
    throw cannotWrite(wish.file, cause);
  }
  return wish;
}

export function cannotWrite(file: string, cause: unknown): CarillonError {
  const message = `CARILLON_TRACE: the timeline cannot be written to ${file} (${(cause as Error).message}); name a file that can, or unset it`;
  return new CarillonError("ERR_CARILLON_TRACE_FAILED", message, { cause });
}

/**
 * Before this process joins: opens its buffer, if a timeline is asked for. `buffer`: where its launcher has one for it.
 * @throws CarillonError ERR_CARILLON_TRACE_FAILED
 */
export function openRecording(wish: TraceWish | undefined, buffer: string): void {
  const problem = native().openTraceBuffer(buffer, wish?.events ?? EVENTS);
  if (problem === undefined) return;
  const message = `CARILLON_TRACE: this rank's buffer ${buffer || "in memory"} cannot be opened (${problem}); is it on the machine of its launcher?`;
  throw new CarillonError("ERR_CARILLON_TRACE_FAILED", message);
}

/** A rank of a job finds its buffer with its launcher, and nowhere else. @throws CarillonError ERR_CARILLON_TRACE_FAILED */
export function bufferOfRank(environment: NodeJS.ProcessEnv): string {
  const { CARILLON_TRACE: file, CARILLON_TRACE_BUFFER: buffer } = environment;
  if (buffer) return buffer;
  const message = `CARILLON_TRACE=${file}: this rank's launcher holds no buffer for its events; start the job with \`carillon run\` or launch(), with CARILLON_TRACE set there, or unset it here`;
  throw new CarillonError("ERR_CARILLON_TRACE_FAILED", message);
}
