// What a message does to an encoded value, without sending one: its pieces become one run of bytes at some offset of
// some memory.
import { decode, type Encoded, encode } from "../../src/value.js";

export interface Landing {
  /** Where the bytes begin in the received buffer: a multiple of 8, or not. */
  offset?: number;
  shared?: boolean;
}

export function pieces({ payload }: Encoded): readonly ArrayBufferView[] {
  return ArrayBuffer.isView(payload) ? [payload] : payload;
}

export function land(encoded: Encoded, { offset = 0, shared = false }: Landing = {}): Uint8Array {
  const views = pieces(encoded);
  const total = views.reduce((sum, view) => sum + view.byteLength, 0);
  const bytes = new Uint8Array(shared ? new SharedArrayBuffer(offset + total) : new ArrayBuffer(offset + total));
  let end = offset;
  for (const view of views) {
    bytes.set(new Uint8Array(view.buffer, view.byteOffset, view.byteLength), end);
    end += view.byteLength;
  }
  return bytes.subarray(offset);
}

/** The value as its receiver sees it. */
export function travel<T>(value: T, landing?: Landing): T {
  const encoded = encode(value);
  return decode(encoded.encoding, land(encoded, landing)) as T;
}
