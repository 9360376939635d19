// Allgather by Bruck's algorithm (J. Bruck et al., "Efficient algorithms for all-to-all communications in multiport
// message-passing systems", 1997): each round doubles the block of consecutive ranks whose values a rank holds;
// ceil(log2 size) messages a rank for any size, each value received once by each rank. (A ring copies as much, with size - 1
// messages one after the other.)

import { gather, scatter } from "../value/gather.js";
import { decode, type Encoded, Encoding, encode } from "../value.js";
import type { Arrival, Collective } from "./collective.js";

interface Held {
  readonly encoding: number;
  /** One memory, so that it can stand among others. */
  readonly bytes: Uint8Array;
}

/** What each rank gave, by rank. The values of typed arrays may share memory. */
export async function allgather<T>(collective: Collective, value: T): Promise<T[]> {
  const { rank, size } = collective;
  // Of this rank, of the one above, and so on.
  const held: Held[] = size > 1 ? [holdable(encode(value))] : [];
  for (let distance = 1; distance < size; distance *= 2) {
    const count = Math.min(distance, size - distance);
    void collective.pass((rank - distance + size) % size, bundle(held.slice(0, count)));
    const from = (rank + distance) % size;
    held.push(...unbundle(collective, await collective.recv(from), count));
  }
  // Views lie over the memory that is being passed on.
  await collective.flush();
  const all: T[] = new Array(size);
  for (const [i, { encoding, bytes }] of held.entries()) {
    all[(rank + i) % size] = i === 0 ? value : (decode(encoding, bytes) as T);
  }
  all[rank] = value;
  return all;
}

function holdable({ encoding, payload }: Encoded): Held {
  if (ArrayBuffer.isView(payload)) return { encoding, bytes: bytesOf(payload) };
  const bytes = new Uint8Array(payload.reduce((sum, part) => sum + part.byteLength, 0));
  let offset = 0;
  for (const part of payload) {
    bytes.set(bytesOf(part), offset);
    offset += part.byteLength;
  }
  return { encoding, bytes };
}

/** The encodings, then each value's bytes, as an array of views travels. */
function bundle(held: readonly Held[]): Encoded {
  const { payload, owned } = gather([
    Uint8Array.from(held, ({ encoding }) => encoding),
    ...held.map(({ bytes }) => bytes),
  ]);
  return { encoding: Encoding.views, payload, owned, shared: false };
}

function unbundle(collective: Collective, { encoding, data, source }: Arrival, count: number): Held[] {
  const [encodings, ...values] = encoding === Encoding.views ? scatter(data) : [];
  if (!(encodings instanceof Uint8Array) || encodings.length !== count || values.length !== count) {
    throw collective.mismatch(`rank ${source} did not send the values of ${count} ranks`, source);
  }
  return values.map((view, i) => ({ encoding: encodings[i] as number, bytes: bytesOf(view) }));
}

function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}
