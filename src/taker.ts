// A standing taker, the reader's side: whole messages out of the ring that native code fills, in order, to a callback or one by one to
// who asks. Responsible for back-pressure (a ring that nobody reads fills up, and what is meant for it waits at its senders), for
// the end, and for giving back what nobody has read; not for what is made of it: streams and queues.
import type { Communicator } from "./communicator.js";
import { rankOf } from "./group.js";
import { Message } from "./message.js";
import { Behind, Ring } from "./native.js";
import { Request } from "./request.js";

/** Bytes of a ring, unless asked otherwise: the flow of some milliseconds. */
export const RING_BYTES = 1 << 18;

/** Messages of one taker before the thread's other work. */
export const TURN = 256;
/** ... and before their room is the sender's again. */
const BATCH = 64;

/** What a taker needs of its thread. */
export interface TakerThread {
  /** The ring has room, or what came alone was received. */
  resume(): void;
  /** Have `read` called again, after the loop's other callbacks. */
  again(): void;
  /** Receives what is next and does not go through the ring. */
  receive(alone: Request<Message>): void;
  /** It takes no more. What has not been read of the ring goes back to its place in line, after `alone`, which came before. */
  stop(alone: Message | undefined): void;
}

export interface TakerOptions {
  /** -1: any. */
  readonly source: number;
  /** -1: any. */
  readonly tag: number;
  /** Called from the event loop, never from within another call of this package. What it throws is an uncaught exception. */
  readonly deliver?: (message: Message) => void;
  /** Instead of `deliver`, likewise: `next` has something. Once after each `resume`; it begins paused. */
  readonly ready?: () => void;
  /** Nothing more comes: the sources have left or died, the world was closed; or it was stopped (then the reason says cancelled). */
  readonly ended: (reason: unknown) => void;
  /** A power of two, at least 1024. No message larger than half of it goes through the ring; such are received one by one. */
  readonly byteCapacity?: number;
}

/** A receive whose message is known as soon as this thread has it, and not when promises are next looked at. */
class Alone extends Request<Message> {
  readonly #settled: (message: Message | undefined) => void;

  constructor(settled: (message: Message | undefined) => void) {
    super();
    this.#settled = settled;
  }

  override fulfill(message: Message): this {
    this.#settled(message);
    return super.fulfill(message);
  }

  // Taken back, or its sender is gone: the taker hears of that by itself.
  override fail(reason: unknown): this {
    this.#settled(undefined);
    return super.fail(reason, true);
  }
}

const nothing = () => {};

export class Taker {
  readonly #communicator: Communicator;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #mask: number;
  readonly #thread: TakerThread;
  readonly #request: Request<void>;
  readonly #deliver: (message: Message) => void;
  readonly #ready: (() => void) | undefined;
  readonly #ended: (reason: unknown) => void;
  #paused: boolean;
  /** In bytes since the start, as the ring counts: read up to here; as full as it was known to be; where the last message lay. */
  #read = 0;
  #head = 0;
  #last = 0;
  #batch = 0;
  #alone: Alone | undefined;
  /** Received alone: not handed out yet; handed out last. Never both. */
  #arrived: Message | undefined;
  #handedAlone: Message | undefined;
  #deserted: { reason: unknown } | undefined;
  #end: { reason: unknown } | undefined;
  #finished = false;
  #immediate: NodeJS.Immediate | undefined;
  #stopping = false;
  #stopped = Promise.resolve();
  #onStopped = nothing;

  /** `request`: rejects when nothing more comes. */
  constructor(
    communicator: Communicator,
    words: Int32Array,
    thread: TakerThread,
    request: Request<void>,
    { deliver = nothing, ready, ended }: TakerOptions,
  ) {
    this.#communicator = communicator;
    this.#words = words;
    this.#bytes = new Uint8Array(words.buffer);
    this.#mask = 4 * (words.length - Ring.records) - 1;
    this.#thread = thread;
    this.#request = request;
    this.#deliver = deliver;
    this.#ready = ready;
    this.#paused = ready !== undefined;
    this.#ended = ended;
    request.then(undefined, (reason) => {
      this.#end = { reason };
      if (this.#stopping) this.#finish(reason);
      else this.#readLast();
    });
  }

  /**
   * Takes no more. What it has taken and not handed out returns to its place in line; with `last`, what `next` returned last, too.
   * Resolves when it has: at once, unless a long message is being copied.
   */
  stop(last = false): Promise<void> {
    if (this.#finished || this.#stopping) return this.#stopped;
    this.#stopping = this.#paused = true;
    if (last && this.#handedAlone) this.#arrived = this.#handedAlone;
    else if (last) this.#read = this.#last;
    if (this.#alone) {
      this.#stopped = new Promise((resolve) => {
        this.#onStopped = resolve;
      });
    } else {
      this.#giveBack();
    }
    return this.#stopped;
  }

  #giveBack(): void {
    Atomics.store(this.#words, Ring.read, this.#read);
    this.#thread.stop(this.#arrived);
    this.#arrived = undefined;
    this.#onStopped();
    const end = this.#end;
    if (end) queueMicrotask(() => this.#finish(end.reason));
  }

  /** Nobody is left who could send: it ends with this reason when it has caught up. */
  withdraw(reason: unknown): void {
    this.#deserted = { reason };
    this.#thread.again();
  }

  /** Settles when it takes no more. */
  get over(): Promise<void> {
    return this.#request;
  }

  /** Delivers nothing until `resume`. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused || this.#stopping) return;
    this.#paused = false;
    this.#handedAlone = undefined; // who asks for more has had it
    this.#last = this.#read;
    this.#thread.again();
    if (this.#end) this.#readLast();
  }

  /** The next message, if it is here. What this returned before is the caller's for good. */
  next(): Message | undefined {
    if (this.#stopping) return undefined;
    this.#handedAlone = undefined;
    if (this.#arrived) return this.#takeArrived();
    if (this.#read === this.#head) {
      this.#publish();
      if (this.#isEmpty() && !this.#end) this.#catchUp();
      if (this.#arrived) return this.#takeArrived();
      this.#head = Atomics.load(this.#words, Ring.head);
      if (this.#read === this.#head) return undefined;
    } else if (++this.#batch === BATCH) {
      this.#publish();
    }
    this.#last = this.#read;
    return this.#record();
  }

  #takeArrived(): Message | undefined {
    const message = this.#arrived;
    this.#arrived = undefined;
    if (this.#ready) this.#handedAlone = message;
    this.#resumeNative();
    return message;
  }

  /** Not while something comes alone, or has come: what is behind it would overtake it in the ring. */
  #resumeNative(): void {
    if (!this.#end && !this.#stopping && !this.#alone && !this.#arrived) this.#thread.resume();
  }

  /** What was read is the sender's room again. */
  #publish(): void {
    this.#batch = 0;
    Atomics.store(this.#words, Ring.read, this.#read);
  }

  /** Delivers what is in the ring, a bounded number of messages at a time; or says that it is there. */
  read(): void {
    if (this.#paused || this.#handOut() || this.#paused) return;
    if (!this.#end) this.#catchUp();
    else if (!this.#alone) this.#finish(this.#end.reason);
  }

  /** Whether there was anything, and more of it may be there. */
  #handOut(): boolean {
    if (this.#ready) {
      if (this.#isEmpty() && !this.#arrived) return false;
      this.#paused = true;
      this.#ready();
      return true;
    }
    try {
      this.#readRing();
    } catch (error) {
      this.#thread.again(); // for the rest
      throw error;
    }
    if (this.#paused || !this.#isEmpty()) return true;
    if (!this.#arrived) return false;
    this.#thread.again();
    this.#deliver(this.#takeArrived() as Message);
    return true;
  }

  /** What is left in the ring. The request has ended and keeps the loop alive no more: this does. */
  #readLast(): void {
    this.#immediate ??= setImmediate(() => {
      this.#immediate = undefined;
      if (!this.#end || this.#paused) return;
      this.#readLast();
      this.read();
    });
  }

  #isEmpty(): boolean {
    return Atomics.load(this.#words, Ring.head) === this.#read;
  }

  #readRing(): void {
    const head = Atomics.load(this.#words, Ring.head);
    for (let left = TURN; this.#read !== head && !this.#paused; left--) {
      if (left === 0) {
        this.#thread.again();
        break;
      }
      if (left % BATCH === 0) this.#publish();
      this.#deliver(this.#record());
    }
    if (!this.#stopping) this.#publish();
  }

  /** The next record of a ring that is not empty. */
  #record(): Message {
    const words = this.#words;
    let record = Ring.records + ((this.#read & this.#mask) >>> 2);
    let length = words[record + Ring.length] as number;
    if (length & 1) {
      this.#read = (this.#read + (length & ~1)) | 0;
      record = Ring.records;
      length = words[record + Ring.length] as number;
    }
    this.#read = (this.#read + length) | 0;
    const start = 4 * (record + Ring.headerWords);
    return new Message(
      this.#communicator,
      rankOf(this.#communicator.group, words[record + Ring.source] as number),
      words[record + Ring.tag] as number,
      (words[record + Ring.encoding] as number) >>> 0,
      this.#bytes.slice(start, start + (words[record + Ring.bytes] as number)) as Uint8Array<ArrayBuffer>,
      true,
    );
  }

  /** The ring was empty. Is there anything that did not get into it? */
  #catchUp(): void {
    const behind = Atomics.load(this.#words, Ring.behind);
    if (behind === Behind.room) {
      this.#publish(); // else there may be no room yet, and native code would have this asked again for ever
      this.#thread.resume();
    } else if (behind === Behind.alone) {
      // While it is behind nothing goes into the ring; what got there just before comes first.
      if (!this.#isEmpty() || this.#alone || this.#arrived || this.#handedAlone) return;
      this.#alone = new Alone((message) => this.#received(message));
      this.#thread.receive(this.#alone);
    } else if (this.#deserted && this.#isEmpty() && !this.#alone && !this.#arrived) {
      this.#request.withdraw(this.#deserted.reason);
    }
  }

  /** Called while the thread settles what has completed: what calls native code again comes later. */
  #received(message: Message | undefined): void {
    this.#alone = undefined;
    this.#arrived = message;
    this.#thread.again();
    if (this.#stopping) queueMicrotask(() => this.#giveBack());
    else if (!message) queueMicrotask(() => this.#resumeNative());
  }

  #finish(reason: unknown): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#end = undefined;
    this.#paused = true;
    this.#ended(reason);
  }
}
