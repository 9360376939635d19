// Several views as one message: a header that says their kinds and lengths, then each view's bytes, aligned to 8 so
// that the receiver can view them where they are.
//   header: u32 number of views, u32 zero; for each view u32 kind | high bits of its length << 8, u32 low bits
// Not responsible for what the views mean (value.ts, clone.ts).
import { CarillonError } from "../errors.js";
import { copyOf, KIND_COUNT, kindOf, makeView, rubbish } from "./kinds.js";
import { room, SMALL, take } from "./slab.js";

/** More pieces than this are copied into one: each piece costs native code more than copying a small one. */
export const MAX_PIECES = 64;

const WORD_BYTES = 4;
const ENTRY_WORDS = 2;
const ENTRY_BYTES = ENTRY_WORDS * WORD_BYTES;
const KIND_BITS = 8;
const KIND_MASK = (1 << KIND_BITS) - 1;
const TWO_TO_32 = 2 ** 32;

const zeros = new ArrayBuffer(ENTRY_BYTES);
/** The n bytes of zero that follow a view, by n. */
const paddings = Array.from({ length: ENTRY_BYTES }, (_, bytes) => new Uint8Array(zeros, 0, bytes));

const paddingAfter = (byteLength: number): number => -byteLength & 7;

export interface Gathered {
  readonly payload: ArrayBufferView | ArrayBufferView[];
  /** The payload is a copy: none of it is the caller's memory. */
  readonly owned: boolean;
  /** Bytes of it that are no view's: header and paddings. */
  readonly added: number;
}

/** The views must have been checked. */
export function gather(views: readonly ArrayBufferView[]): Gathered {
  const headerBytes = (views.length + 1) * ENTRY_BYTES;
  let total = headerBytes;
  let pieces = 1;
  let added = headerBytes;
  for (const view of views) {
    const padding = paddingAfter(view.byteLength);
    added += padding;
    total += view.byteLength + padding;
    pieces += padding === 0 ? 1 : 2;
  }
  if (total <= SMALL || pieces > MAX_PIECES) return { payload: join(views, headerBytes, total), owned: true, added };

  // A small first view (a header before a body, a serialized object before its arrays) travels with the kinds.
  const first = views[0] as ArrayBufferView;
  const joined = headerBytes + first.byteLength + ENTRY_BYTES <= SMALL;
  const payload: ArrayBufferView[] = [start(views, headerBytes, joined ? first : undefined)];
  for (let i = joined ? 1 : 0; i < views.length; i++) {
    const view = views[i] as ArrayBufferView;
    const padding = paddings[paddingAfter(view.byteLength)] as Uint8Array;
    if (view.byteLength > 0) payload.push(view);
    if (padding.byteLength > 0) payload.push(padding);
  }
  return { payload, owned: false, added };
}

function start(views: readonly ArrayBufferView[], headerBytes: number, first: ArrayBufferView | undefined): Uint8Array {
  const bytes = headerBytes + (first === undefined ? 0 : first.byteLength + paddingAfter(first.byteLength));
  const target = memory(bytes);
  writeHeader(views, target);
  if (first !== undefined) write(first, target, headerBytes);
  return target;
}

function join(views: readonly ArrayBufferView[], headerBytes: number, total: number): Uint8Array {
  const target = memory(total);
  writeHeader(views, target);
  let offset = headerBytes;
  for (const view of views) offset = write(view, target, offset);
  return target;
}

/** Writes a view and its padding (a slab is not zeroed, and what was there before is nobody's business). */
function write(view: ArrayBufferView, target: Uint8Array, offset: number): number {
  target.set(new Uint8Array(view.buffer, view.byteOffset, view.byteLength), offset);
  const end = offset + view.byteLength;
  const padded = end + paddingAfter(view.byteLength);
  for (let i = end; i < padded; i++) target[i] = 0;
  return padded;
}

function large(bytes: number): Uint8Array {
  try {
    return new Uint8Array(bytes);
  } catch (cause) {
    const message = `the views have ${bytes} bytes together, more than this process can hold`;
    throw new CarillonError("ERR_CARILLON_INVALID_BUFFER", message, { cause, byteLength: bytes });
  }
}

function memory(bytes: number): Uint8Array {
  if (bytes > SMALL) return large(bytes);
  room(bytes);
  return take(bytes);
}

function writeHeader(views: readonly ArrayBufferView[], target: Uint8Array): void {
  const words = new Uint32Array(target.buffer, target.byteOffset, (views.length + 1) * ENTRY_WORDS);
  words[0] = views.length;
  words[1] = 0;
  let word = ENTRY_WORDS;
  for (const view of views) {
    words[word++] = kindOf(view) | (Math.floor(view.byteLength / TWO_TO_32) << KIND_BITS);
    words[word++] = view.byteLength;
  }
}

/**
 * The views again, over the received memory (over one copy of it if that memory is not aligned).
 * @throws CarillonError ERR_CARILLON_DATA_DECODE
 */
export function scatter(data: Uint8Array): ArrayBufferView[] {
  if (data.byteLength < ENTRY_BYTES) return rubbish("a header of views is missing");
  const aligned = data.byteOffset % ENTRY_BYTES === 0;
  const buffer = aligned ? data.buffer : copyOf(data.buffer, data.byteOffset, data.byteLength);
  const start = aligned ? data.byteOffset : 0;

  const count = new Uint32Array(buffer, start, 1)[0] as number;
  if (count === 0 || (count + 1) * ENTRY_BYTES > data.byteLength) return rubbish(`it cannot hold ${count} views`);
  const words = new Uint32Array(buffer, start + ENTRY_BYTES, count * ENTRY_WORDS);
  const views: ArrayBufferView[] = [];
  let offset = (count + 1) * ENTRY_BYTES;
  for (let word = 0; word < words.length; word += ENTRY_WORDS) {
    const first = words[word] as number;
    const kind = first & KIND_MASK;
    const byteLength = lengthAt(words, word);
    if (kind >= KIND_COUNT || byteLength > data.byteLength - offset) return rubbish("a view exceeds the message");
    views.push(makeView(kind, buffer, start + offset, byteLength));
    offset += byteLength + paddingAfter(byteLength);
  }
  return offset === data.byteLength ? views : rubbish("the views do not fill the message");
}

/** Of a header, in words: what says how many views there are. */
export const WORDS_AHEAD = ENTRY_WORDS;

/**
 * Where each view's bytes lie in a message of gathered views.
 * @param ahead the first WORDS_AHEAD words of it
 * @param contents the bytes of all views, as the message's encoding says
 * @param read fills the words that follow those
 * @throws CarillonError ERR_CARILLON_DATA_DECODE
 */
export function segmentsOf(
  ahead: Uint32Array,
  byteLength: number,
  contents: number,
  read: (words: Uint32Array) => void,
): { from: number; bytes: number }[] {
  const count = ahead[0] as number;
  if (count === 0 || (count + 1) * ENTRY_BYTES > byteLength) return rubbish(`it cannot hold ${count} views`);
  const words = new Uint32Array(count * ENTRY_WORDS);
  read(words);
  const segments: { from: number; bytes: number }[] = [];
  let from = (count + 1) * ENTRY_BYTES;
  let left = contents;
  for (let word = 0; word < words.length; word += ENTRY_WORDS) {
    const bytes = lengthAt(words, word);
    segments.push({ from, bytes });
    left -= bytes;
    from += bytes + paddingAfter(bytes);
  }
  return from === byteLength && left === 0 ? segments : rubbish("the views do not fill the message");
}

function lengthAt(words: Uint32Array, word: number): number {
  return ((words[word] as number) >>> KIND_BITS) * TWO_TO_32 + (words[word + 1] as number);
}
