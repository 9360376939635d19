// A standing taker, the reader's side: whole messages out of the ring that native code fills, to a callback, in order.
// Responsible for back-pressure (a ring that nobody reads fills up, and what is meant for it waits at its senders) and for the end;
// not for what is made of it: streams and queues.
import type { Communicator } from "./communicator.js";
import { rankOf } from "./group.js";
import { Message } from "./message.js";
import { Behind, Ring } from "./native.js";
import type { Request } from "./request.js";

/** Bytes of a ring, unless asked otherwise: the flow of some milliseconds. */
export const RING_BYTES = 1 << 18;

/** Messages of one taker before the thread's other work. */
const TURN = 256;
/** ... and before their room is the sender's again. */
const BATCH = 64;

/** What a taker needs of its thread. */
export interface TakerThread {
  /** The ring has room, or what came alone was received. */
  resume(): void;
  /** Have `read` called again, after the loop's other callbacks. */
  again(): void;
  /** Receives what is next and does not go through the ring. */
  receive(): Request<Message>;
}

export interface TakerOptions {
  /** -1: any. */
  readonly source: number;
  /** -1: any. */
  readonly tag: number;
  /** Called from the event loop, never from within another call of this package. What it throws is an uncaught exception. */
  readonly deliver: (message: Message) => void;
  /** Nothing more comes: the sources have left or died, the world was closed; or it was stopped (then the reason says cancelled). */
  readonly ended: (reason: unknown) => void;
  /** A power of two, at least 1024. No message larger than half of it goes through the ring; such are received one by one. */
  readonly byteCapacity?: number;
}

export class Taker {
  readonly #communicator: Communicator;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #mask: number;
  readonly #thread: TakerThread;
  readonly #request: Request<void>;
  readonly #deliver: (message: Message) => void;
  readonly #ended: (reason: unknown) => void;
  #read = 0;
  #paused = false;
  #alone: Request<Message> | undefined;
  #arrived: Message | undefined;
  #end: { reason: unknown } | undefined;

  /** `request`: rejects when nothing more comes. */
  constructor(
    communicator: Communicator,
    words: Int32Array,
    thread: TakerThread,
    request: Request<void>,
    { deliver, ended }: TakerOptions,
  ) {
    this.#communicator = communicator;
    this.#words = words;
    this.#bytes = new Uint8Array(words.buffer);
    this.#mask = 4 * (words.length - Ring.records) - 1;
    this.#thread = thread;
    this.#request = request;
    this.#deliver = deliver;
    this.#ended = ended;
    request.then(undefined, (reason) => {
      this.#end = { reason };
      this.#readLast();
    });
  }

  /** Takes no more; what is in the ring is still delivered, then `ended` is called. */
  stop(): void {
    this.#request.cancel();
    this.#alone?.cancel();
  }

  /** Delivers nothing until `resume`. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#thread.again();
    if (this.#end) this.#readLast();
  }

  /** Delivers what is in the ring, a bounded number of messages at a time. */
  read(): void {
    try {
      this.#readRing();
    } catch (error) {
      this.#thread.again(); // for the rest
      throw error;
    }
    if (this.#paused || !this.#isEmpty()) return;
    if (this.#arrived) {
      const message = this.#arrived;
      this.#arrived = undefined;
      this.#thread.again();
      if (!this.#end) this.#thread.resume();
      this.#deliver(message);
    } else if (this.#end) {
      if (!this.#alone) this.#finish(this.#end.reason);
    } else {
      this.#catchUp();
    }
  }

  /** What is left in the ring. The request has ended and keeps the loop alive no more: this does. */
  #readLast(): void {
    setImmediate(() => {
      if (!this.#end || this.#paused) return;
      this.#readLast();
      this.read();
    });
  }

  #isEmpty(): boolean {
    return Atomics.load(this.#words, Ring.head) === this.#read;
  }

  #readRing(): void {
    const words = this.#words;
    const head = Atomics.load(words, Ring.head);
    for (let left = TURN; this.#read !== head && !this.#paused; left--) {
      if (left === 0) {
        this.#thread.again();
        return;
      }
      if (left % BATCH === 0) Atomics.store(words, Ring.read, this.#read);
      const record = Ring.records + ((this.#read & this.#mask) >>> 2);
      const length = words[record + Ring.length] as number;
      this.#read = (this.#read + (length & ~1)) | 0;
      if (length & 1) continue;
      const start = 4 * (record + Ring.headerWords);
      const data = this.#bytes.slice(start, start + (words[record + Ring.bytes] as number)) as Uint8Array<ArrayBuffer>;
      this.#deliver(
        new Message(
          this.#communicator,
          rankOf(this.#communicator.group, words[record + Ring.source] as number),
          words[record + Ring.tag] as number,
          (words[record + Ring.encoding] as number) >>> 0,
          data,
          true,
        ),
      );
    }
    Atomics.store(words, Ring.read, this.#read);
  }

  /** The ring is empty. Is there anything that did not get into it? */
  #catchUp(): void {
    const behind = Atomics.load(this.#words, Ring.behind);
    if (behind === Behind.room) {
      this.#thread.resume();
    } else if (behind === Behind.alone && !this.#alone) {
      const alone = this.#thread.receive();
      this.#alone = alone;
      alone.then(
        (message) => {
          this.#arrived = message;
          this.#received();
        },
        () => this.#received(), // taken back, or its sender is gone: the taker hears of that by itself
      );
    }
  }

  #received(): void {
    this.#alone = undefined;
    if (!this.#arrived && !this.#end) this.#thread.resume();
    this.#thread.again();
  }

  #finish(reason: unknown): void {
    this.#end = undefined;
    this.#paused = true;
    this.#ended(reason);
  }
}
