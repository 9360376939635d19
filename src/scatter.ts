// A list of views to receive into: the bytes of one message fill them in order. Takes gathered views apart (value/gather.ts), so
// that [header, body] sent arrives as header and body.
// Not responsible for what goes into one view (thread.ts) nor for what native code writes by itself (binding/scatter.cc).
import { CarillonError } from "./errors.js";
import { isShared } from "./value/check.js";
import { segmentsOf, WORDS_AHEAD } from "./value/gather.js";
import { contentsOf } from "./value.js";

/** Views that native code fills by itself; longer lists are filled by the thread that owns them. */
const MOST_DIRECT = 64;

/** Copies bytes of the message, from an offset on, into all of `target`. */
export type Read = (target: Uint8Array, from: number) => void;

export class ScatterList {
  readonly views: readonly Uint8Array[];
  readonly byteLength: number;
  /** Native code may write into them from another thread. */
  readonly direct: boolean;
  readonly #lengths: readonly number[];

  /** The views must have been checked. */
  constructor(views: readonly Uint8Array[]) {
    this.views = views;
    this.#lengths = views.map((view) => view.byteLength);
    this.byteLength = lengthOf(views);
    this.direct = views.length > 0 && views.length <= MOST_DIRECT && views.every((view) => isShared(view.buffer));
  }

  /**
   * Fills the views with a message of so many bytes on the wire; returns what of them was filled.
   * @throws CarillonError ERR_CARILLON_BUFFER_DETACHED or ERR_CARILLON_DATA_DECODE
   */
  fill(bytes: number, encoding: number, read: Read): Uint8Array[] {
    const contents = contentsOf(bytes, encoding);
    const filled = this.filled(contents);
    if (contents === bytes) {
      copy(filled, [{ from: 0, bytes }], read);
    } else {
      copy(filled, gathered(bytes, contents, read), read);
    }
    return filled;
  }

  /** The parts of the views that the first `contents` bytes fill, unless one went away while the receive was in flight. */
  filled(contents: number): Uint8Array[] {
    const filled: Uint8Array[] = [];
    let left = contents;
    for (const [i, view] of this.views.entries()) {
      if (view.byteLength !== this.#lengths[i]) {
        throw new CarillonError(
          "ERR_CARILLON_BUFFER_DETACHED",
          `into[${i}] was transferred or resized while the receive was in flight: it had ${this.#lengths[i]} bytes, now ${view.byteLength}`,
          { byteLength: contents },
        );
      }
      const part = Math.min(left, view.byteLength);
      filled.push(part === view.byteLength ? view : view.subarray(0, part));
      left -= part;
    }
    return filled;
  }
}

interface Segment {
  readonly from: number;
  readonly bytes: number;
}

function gathered(bytes: number, contents: number, read: Read): Segment[] {
  const ahead = new Uint32Array(WORDS_AHEAD);
  const head = new Uint8Array(ahead.buffer);
  read(head.subarray(0, Math.min(bytes, head.byteLength)), 0);
  return segmentsOf(ahead, bytes, contents, (words) => read(new Uint8Array(words.buffer), head.byteLength));
}

function copy(views: readonly Uint8Array[], segments: readonly Segment[], read: Read): void {
  let i = 0;
  let done = 0;
  for (const { from, bytes } of segments) {
    for (let at = 0; at < bytes; ) {
      const view = views[i] as Uint8Array;
      const part = Math.min(bytes - at, view.byteLength - done);
      if (part > 0) read(part === view.byteLength ? view : view.subarray(done, done + part), from + at);
      at += part;
      done += part;
      if (done === view.byteLength) {
        ++i;
        done = 0;
      }
    }
  }
}

export function lengthOf(views: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const view of views) bytes += view.byteLength;
  return bytes;
}

/** What was filled, in one piece. */
export function concatenate(views: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(lengthOf(views));
  let offset = 0;
  for (const view of views) {
    whole.set(view, offset);
    offset += view.byteLength;
  }
  return whole;
}
