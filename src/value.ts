// The law of values: what is sent, as an encoding word and bytes, and back. `message.value` deep-equals
// `structuredClone(sent)`, sending only the bytes a view covers. docs/values.md lists the deviations, test/value.test.ts
// tests them.
// Pure TypeScript. Not responsible for how bytes travel, nor for the size limit of a message.
import { CarillonError } from "./errors.js";
import { isLeased } from "./lease.js";
import { checkView, isShared } from "./value/check.js";
import { deserialize, serialize, unshared } from "./value/clone.js";
import { gather, scatter } from "./value/gather.js";
import { copyOf, KIND_COUNT, kindOf, makeView, rubbish } from "./value/kinds.js";
import { takeNumber } from "./value/slab.js";
import { decodeText, encodeText, TextForm } from "./value/text.js";

export { checkView } from "./value/check.js";

/**
 * The encoding word that travels with every message: append only. A view of kind k (value/kinds.ts) is `view + k`. Its upper
 * 24 bits say how many bytes `views` adds to those of the views; 0: more than fit there.
 */
export const Encoding = {
  undefined: 0,
  null: 1,
  false: 2,
  true: 3,
  /** Eight bytes, as a Float64Array holds them. */
  number: 4,
  utf8: 5,
  latin1: 6,
  utf16: 7,
  arrayBuffer: 8,
  /** Several views (value/gather.ts). */
  views: 9,
  /** V8's serialization (value/clone.ts). */
  clone: 10,
  /** Several views, the first of which is V8's serialization of a value that holds the others. */
  cloneAndViews: 11,
  view: 16,
} as const;

const FORM_BITS = 8;
const MOST_ADDED = 2 ** 24;

export interface Encoded {
  readonly encoding: number;
  /** What to send: the caller's own memory wherever possible. */
  readonly payload: ArrayBufferView | readonly ArrayBufferView[];
  /** Nobody else uses this memory, and it is never used again: whoever keeps the payload may read it at any time. */
  readonly owned: boolean;
  /** Whatever is the caller's memory here is shared memory, which can be neither detached nor shrunk, or leased memory. */
  readonly shared: boolean;
}

const nothing = (encoding: number): Encoded => ({ encoding, payload: new Uint8Array(0), owned: true, shared: false });

const UNDEFINED = nothing(Encoding.undefined);
const NULL = nothing(Encoding.null);
const FALSE = nothing(Encoding.false);
const TRUE = nothing(Encoding.true);

const encodingOfText = {
  [TextForm.utf8]: Encoding.utf8,
  [TextForm.latin1]: Encoding.latin1,
  [TextForm.utf16]: Encoding.utf16,
} as const;

/**
 * Bytes for any value that can be cloned.
 * @throws CarillonError ERR_CARILLON_DATA_CLONE, ERR_CARILLON_BUFFER_DETACHED or ERR_CARILLON_INVALID_BUFFER
 */
export function encode(value: unknown): Encoded {
  switch (typeof value) {
    case "string": {
      const { form, bytes } = encodeText(value);
      return { encoding: encodingOfText[form], payload: bytes, owned: true, shared: false };
    }
    case "number":
      return { encoding: Encoding.number, payload: takeNumber(value), owned: true, shared: false };
    case "boolean":
      return value ? TRUE : FALSE;
    case "undefined":
      return UNDEFINED;
    case "object":
      if (value === null) return NULL;
      if (ArrayBuffer.isView(value)) return encodeView(value);
      if (isViews(value)) return encodeViews(Encoding.views, value);
      if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) return encodeBuffer(value);
  }
  const { bytes, beside } = serialize(value);
  if (beside.length > 0) return encodeViews(Encoding.cloneAndViews, [bytes, ...beside]);
  return { encoding: Encoding.clone, payload: bytes, owned: true, shared: false };
}

function encodeView(view: ArrayBufferView): Encoded {
  checkView(view, "the view");
  return { encoding: Encoding.view + kindOf(view), payload: view, owned: false, shared: isStable(view.buffer) };
}

function encodeBuffer(buffer: ArrayBufferLike): Encoded {
  checkView(buffer, "the value");
  const payload = new Uint8Array(buffer);
  return { encoding: Encoding.arrayBuffer, payload, owned: false, shared: isStable(buffer) };
}

function isStable(buffer: ArrayBufferLike): boolean {
  return isShared(buffer) || isLeased(buffer);
}

/** Not empty, and nothing but views. */
function isViews(value: object): value is ArrayBufferView[] {
  if (!Array.isArray(value) || value.length === 0) return false;
  for (let i = 0; i < value.length; i++) if (!ArrayBuffer.isView(value[i])) return false;
  return true;
}

function encodeViews(encoding: number, views: readonly ArrayBufferView[]): Encoded {
  let shared = true;
  for (let i = 0; i < views.length; i++) {
    const view = views[i] as ArrayBufferView;
    checkView(view, "a view");
    // The serialized value that comes first is not the caller's memory.
    if (!isShared(view.buffer) && (i > 0 || encoding === Encoding.views)) shared = false;
  }
  const { payload, owned, added } = gather(views);
  if (encoding === Encoding.views && added < MOST_ADDED) encoding += added * 2 ** FORM_BITS;
  return { encoding, payload, owned, shared: shared && !owned };
}

/**
 * The value again. Views lie over `data` where alignment allows, so its memory must belong to the message. Whatever the
 * bytes are, this returns or throws.
 * @throws CarillonError ERR_CARILLON_DATA_DECODE
 */
export function decode(encoding: number, data: Uint8Array): unknown {
  switch (formOf(encoding)) {
    case Encoding.undefined:
      return empty(data, undefined);
    case Encoding.null:
      return empty(data, null);
    case Encoding.false:
      return empty(data, false);
    case Encoding.true:
      return empty(data, true);
    case Encoding.number:
      return decodeNumber(data);
    case Encoding.utf8:
      return decodeText(TextForm.utf8, unshared(data));
    case Encoding.latin1:
      return decodeText(TextForm.latin1, unshared(data));
    case Encoding.utf16:
      return decodeText(TextForm.utf16, unshared(data));
    case Encoding.arrayBuffer:
      return decodeBuffer(data);
    case Encoding.views:
      return scatter(data);
    case Encoding.clone:
      return deserialize(data);
    case Encoding.cloneAndViews: {
      const [bytes, ...beside] = scatter(data);
      return bytes instanceof Uint8Array ? deserialize(bytes, beside) : rubbish("its first view is no value");
    }
  }
  const kind = encoding - Encoding.view;
  if (!(kind >= 0 && kind < KIND_COUNT)) {
    throw new CarillonError("ERR_CARILLON_DATA_DECODE", `this version of Carillon knows no encoding ${encoding}`);
  }
  return makeView(kind, data.buffer, data.byteOffset, data.byteLength);
}

/** Which of Encoding it is. */
export function formOf(encoding: number): number {
  const form = encoding & (2 ** FORM_BITS - 1);
  return form === Encoding.views ? form : encoding;
}

/** The bytes of a message without what `views` adds: contents_of in native/core/packet.h. */
export function contentsOf(byteLength: number, encoding: number): number {
  const added = encoding >>> FORM_BITS;
  return added <= byteLength ? byteLength - added : byteLength;
}

function empty<T>(data: Uint8Array, value: T): T {
  return data.byteLength === 0 ? value : rubbish(`${String(value)} has no bytes`);
}

const number = new Float64Array(1);
const numberBytes = new Uint8Array(number.buffer);

function decodeNumber(data: Uint8Array): number {
  if (data.byteLength !== numberBytes.byteLength) return rubbish(`a number has 8 bytes, not ${data.byteLength}`);
  for (let i = 0; i < numberBytes.length; i++) numberBytes[i] = data[i] as number;
  return number[0] as number;
}

/** The received buffer itself when the message is all of it. */
function decodeBuffer(data: Uint8Array): ArrayBuffer {
  const { buffer, byteOffset, byteLength } = data;
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) return buffer;
  return copyOf(buffer, byteOffset, byteLength);
}
