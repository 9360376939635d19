// Whether a caller's memory may be used: not detached, and of a size that cannot change.
// Not responsible for how large a message may be (the engine says so), nor for who else uses the memory.
import { CarillonError } from "../errors.js";

/** What newer runtimes have and the compiler's library does not declare. */
interface Sizeable {
  readonly byteLength: number;
  readonly resizable?: boolean;
  readonly growable?: boolean;
}

/**
 * Refuses what cannot be sent from or received into. Costs a few property reads in the common case.
 * @param what names the memory in the error: "the value", "into", …
 * @throws CarillonError ERR_CARILLON_BUFFER_DETACHED or ERR_CARILLON_INVALID_BUFFER
 */
export function checkView(view: ArrayBufferView | ArrayBufferLike, what: string): void {
  const buffer = ArrayBuffer.isView(view) ? view.buffer : view;
  // A detached buffer has no bytes left; only then is the dearer question asked.
  if (buffer.byteLength === 0 && isDetached(buffer)) {
    throw new CarillonError("ERR_CARILLON_BUFFER_DETACHED", `${what} lies in a buffer that is detached (transferred)`);
  }
  if (isResizable(buffer)) {
    throw new CarillonError(
      "ERR_CARILLON_INVALID_BUFFER",
      `${what} lies in a buffer that can be resized; native code needs memory of a fixed size`,
    );
  }
}

/** Node.js 20 has no `detached`; no view can be made over a detached buffer in any version. */
export function isDetached(buffer: ArrayBufferLike): boolean {
  if (buffer.byteLength !== 0) return false;
  try {
    new Uint8Array(buffer);
    return false;
  } catch {
    return true;
  }
}

export function isResizable(buffer: ArrayBufferLike): boolean {
  const { resizable, growable } = buffer as Sizeable;
  return resizable === true || growable === true;
}

export function isShared(buffer: ArrayBufferLike): boolean {
  return buffer instanceof SharedArrayBuffer;
}
