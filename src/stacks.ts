// Where requests were posted, on request (Settings.stacks): an error that comes later then says which line asked for what failed.
// Costs nothing but a look at a flag when it is off.
import type { CarillonError } from "./errors.js";

/** The package's own frames say nothing to who posted a request. All that posts is in one file (src/bundle.mjs). */
const HERE = import.meta.url;
const MARK = "(posted here)";

let kept = false;

/** From now on, in this thread. */
export function keepStacks(keep: boolean): void {
  kept = keep;
}

/** A stack that is made into text when it is read. */
export interface Place {
  readonly stack?: string;
}

/** Where the caller of `below` was called from; undefined unless stacks are kept. */
// biome-ignore lint/complexity/noBannedTypes: what V8 takes, whatever its signature
export function placeOf(below: Function): Place | undefined {
  if (!kept) return undefined;
  const place: Place = {};
  Error.captureStackTrace(place, below);
  return place;
}

/** Continues the error's stack, as an asynchronous one, with where the operation called `name` was posted. Once. */
export function append(error: CarillonError, name: string, place: Place): void {
  const { stack = "" } = error;
  if (stack.includes(MARK)) return;
  const frames = (place.stack ?? "").split("\n").slice(1);
  const first = frames.findIndex((frame) => !frame.includes(HERE));
  const theirs = first < 0 ? [] : frames.slice(first);
  error.stack = [stack, `    at ${name} ${MARK}`, ...theirs].join("\n");
}
