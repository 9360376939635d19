// Completion records, as native code writes them into this thread's shared memory: what they say, and the messages they tell of.
// Responsible for getting a message's bytes from where native code left them to where they shall be; not for which request a record is of (thread.ts).
import type { Communicator } from "./communicator.js";
import { CarillonError } from "./errors.js";
import { rankOf } from "./group.js";
import { Message } from "./message.js";
import { type NativeBinding, Queue, Storage } from "./native.js";
import { ScatterList } from "./scatter.js";
import { isDetached } from "./value/check.js";
import { contentsOf } from "./value.js";

/** From this size on a received body is handed over instead of copied into fresh memory (measured: docs/architecture.md). */
const ADOPT_BYTES = 64 * 1024;

/** Records lie in the queue, and one in its call area: `record` is the word where it begins. */
export class Records {
  readonly #native: NativeBinding;
  readonly #queue: Int32Array;
  readonly #inline: Uint8Array;

  constructor(native: NativeBinding, queue: Int32Array) {
    this.#native = native;
    this.#queue = queue;
    this.#inline = new Uint8Array(queue.buffer);
  }

  /** The message that a record tells of, its bytes where they shall be. */
  message(
    record: number,
    index: number,
    communicator: Communicator,
    into: Uint8Array | ScatterList | undefined,
  ): Message {
    const queue = this.#queue;
    const bytes = wide(queue, record + Queue.bytesLow);
    const storage = queue[record + Queue.storage];
    const encoding = (queue[record + Queue.encoding] as number) >>> 0;
    let data: Uint8Array | readonly Uint8Array[];
    if (into instanceof ScatterList) {
      data = this.#scattered(record, index, into, bytes, encoding);
    } else if (into) {
      data = part(into, bytes);
      if (storage === Storage.inline) this.#copyInline(record, data);
      else if (storage !== Storage.none) this.#native.take(index, data, 0);
    } else if (storage === Storage.inline) {
      data = this.#inlineOf(record, bytes);
    } else if (storage === Storage.lease || (storage === Storage.stage && bytes >= ADOPT_BYTES)) {
      data = new Uint8Array(this.#native.adopt(index));
    } else {
      data = new Uint8Array(bytes);
      if (storage !== Storage.none) this.#native.take(index, data, 0);
    }
    const source = queue[record + Queue.source] as number;
    return new Message(
      communicator,
      rankOf(communicator.group, source),
      queue[record + Queue.tag] as number,
      encoding,
      data,
      into === undefined,
    );
  }

  #scattered(record: number, index: number, into: ScatterList, bytes: number, encoding: number): Uint8Array[] {
    const storage = this.#queue[record + Queue.storage];
    if (bytes === 0 || storage === Storage.none) return into.filled(contentsOf(bytes, encoding)); // by native code
    if (storage !== Storage.inline) return into.fill(bytes, encoding, (to, from) => this.#native.take(index, to, from));
    const inline = this.#inlineOf(record, bytes);
    return into.fill(bytes, encoding, (to, from) => to.set(inline.subarray(from, from + to.byteLength)));
  }

  /** A copy of the bytes in the record. Half as long as a loop into new memory (44 against 85 ns for 64 bytes). */
  #inlineOf(record: number, bytes: number): Uint8Array<ArrayBuffer> {
    const start = 4 * (record + Queue.inline);
    return this.#inline.slice(start, start + bytes) as Uint8Array<ArrayBuffer>;
  }

  // At most 64 bytes: a loop is faster than a view of them.
  #copyInline(record: number, data: Uint8Array): void {
    const inline = this.#inline;
    const start = 4 * (record + Queue.inline);
    for (let i = 0; i < data.length; i++) data[i] = inline[start + i] as number;
  }
}

/** A number of two words, the low one first. */
export function wide(queue: Int32Array, word: number): number {
  return ((queue[word] as number) >>> 0) + (queue[word + 1] as number) * 2 ** 32;
}

/** The first `bytes` of the caller's memory, unless it went away while the receive was in flight. */
function part(into: Uint8Array, bytes: number): Uint8Array {
  if (into.byteLength < bytes || (bytes === 0 && isDetached(into.buffer))) {
    throw new CarillonError(
      "ERR_CARILLON_BUFFER_DETACHED",
      `\`into\` was transferred or resized while the receive was in flight: ${bytes} bytes came, it has room for ${into.byteLength}`,
      { byteLength: bytes },
    );
  }
  return into.subarray(0, bytes);
}
