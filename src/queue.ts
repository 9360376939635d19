// A message queue: whole messages in shared memory that native code fills, and that any thread of the process takes with nothing but
// Atomics. Responsible for the readers' side: each message goes to one of them, whoever of them is terminated when; who sleeps is
// woken. Not for what comes into the ring (core/taker.cc) nor for who wakes (workers/notifier.ts).
import { inspect } from "node:util";
import { wrong } from "./arguments.js";
import { CarillonError } from "./errors.js";
import { failure } from "./failures.js";
import { Group, rankOf } from "./group.js";
import { Message } from "./message.js";
import { Behind, Ring, Status } from "./native.js";
import { wide } from "./records.js";

/** "Bell" in memory: what tells a queue's buffer from any other. */
const MAGIC = 0x6c6c6542;
const LEAST_BYTES = 4096;
const MOST_BYTES = 2 ** 30;
/** Bytes of a queue, unless asked otherwise. */
const DEFAULT_BYTES = 2 ** 20;
/** ms that a timer can wait at most. */
const LONG = 2 ** 31 - 1;

/** Of Atomics, since Node.js 16; TypeScript knows it from ES2024 on. */
type WaitAsync = (
  words: Int32Array,
  index: number,
  value: number,
) => { async: false; value: string } | { async: true; value: Promise<string> };
const waitAsync = (Atomics as unknown as { waitAsync: WaitAsync }).waitAsync;

/** What `world.queue` takes: which messages, and how many bytes of them. */
export interface QueueOptions {
  /** A rank; default ANY_SOURCE. */
  source?: number;
  /** Default ANY_TAG. */
  tag?: number;
  /** Bytes for messages that nobody has taken yet, rounded up to a power of two; default 1 MiB. A message fits if it has less than half. */
  byteCapacity?: number;
}

/** How long `queue.take` waits. */
export interface TakeOptions {
  /** How many ms to wait; default: until a message comes or the queue is closed. */
  timeout?: number;
}

/** What a queue's creator can do with it. @internal */
export interface QueueOwner {
  /** Settles when nothing more comes. */
  readonly over: Promise<void>;
  close(): void;
}

/**
 * Messages in shared memory, filled by native code and emptied by any threads of the process with nothing but Atomics, each message
 * going to one of them (docs/queues.md). Made by `world.queue`; in other threads by `MessageQueue.from(queue.buffer)`.
 */
export class MessageQueue<T = unknown> implements AsyncIterable<Message<T>> {
  /** The whole queue: give it to any thread of this process, and there to `MessageQueue.from`. */
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #read: BigInt64Array;
  readonly #mask: number;
  readonly #group: Group | undefined;
  readonly #owner: QueueOwner | undefined;

  /** @internal Queues come from `world.queue` and `MessageQueue.from`. */
  constructor(buffer: SharedArrayBuffer, owner?: QueueOwner) {
    const words = new Int32Array(buffer);
    const capacity = words[Ring.capacity] as number;
    const members = Ring.records + capacity / 4;
    this.buffer = buffer;
    this.#words = words;
    this.#bytes = new Uint8Array(buffer);
    this.#read = new BigInt64Array(buffer, 4 * Ring.read, 1);
    this.#mask = capacity - 1;
    if (words.length > members) this.#group = new Group(Array.from(words.subarray(members)));
    this.#owner = owner;
  }

  /**
   * A queue that another thread of this process has made, by its buffer. Needs no world.
   * @throws CarillonError ERR_CARILLON_INVALID_ARGUMENT
   */
  static from<T = unknown>(buffer: SharedArrayBuffer): MessageQueue<T> {
    const words =
      buffer instanceof SharedArrayBuffer && buffer.byteLength % 4 === 0 && buffer.byteLength >= 4 * Ring.records
        ? new Int32Array(buffer)
        : undefined;
    if (words?.[Ring.magic] !== MAGIC) throw wrong("buffer", "the `buffer` of a MessageQueue of this process", buffer);
    return new MessageQueue<T>(buffer);
  }

  /** Nothing follows what is in it: it was closed, the thread that made it has ended, or nobody is left who could send. */
  get closed(): boolean {
    return (Atomics.load(this.#words, Ring.head) & Ring.closed) !== 0;
  }

  /**
   * The next message if it is here; undefined: not, or the queue is closed and empty.
   * @throws CarillonError ERR_CARILLON_TRUNCATED: the next message can never fit; it stays in line for a `recv`, and the queue goes on
   * when it has gone. ERR_CARILLON_PEER_LOST, _PEER_PROTOCOL: the queue has ended because of that.
   */
  tryTake(): Message<T> | undefined {
    for (;;) {
      const message = this.#next();
      if (message) return message;
      // Looked at before the ring is again: what came between those two looks is first, and while it is behind nothing more comes.
      const alone = Atomics.load(this.#words, Ring.behind) === Behind.alone;
      if (!alone || this.#isEmpty()) return this.#why(alone);
    }
  }

  #isEmpty(): boolean {
    return (
      Number(BigInt.asIntN(32, Atomics.load(this.#read, 0))) === (Atomics.load(this.#words, Ring.head) & ~Ring.closed)
    );
  }

  /**
   * Waits for the next message, this thread meanwhile standing still (`Atomics.wait`); it can be terminated. Undefined: the queue is
   * closed and empty, or the time is over.
   * @throws CarillonError as `tryTake`, and ERR_CARILLON_INVALID_ARGUMENT
   */
  take({ timeout = Number.POSITIVE_INFINITY }: TakeOptions = {}): Message<T> | undefined {
    if (typeof timeout !== "number" || !(timeout >= 0)) throw wrong("timeout", "a number of ms from 0 on", timeout);
    const deadline = timeout === Number.POSITIVE_INFINITY ? timeout : performance.now() + timeout;
    for (;;) {
      const event = this.#sleepy();
      const message = this.tryTake();
      if (message || this.#ended()) return message;
      const left = deadline - performance.now();
      if (!(left > 0)) return undefined;
      Atomics.wait(this.#words, Ring.event, event, left);
    }
  }

  /**
   * Waits for the next message while this thread goes on. Undefined: the queue is closed and empty. Keeps the process alive meanwhile.
   * Rejects as `tryTake` throws, or with the signal's reason.
   */
  async takeAsync({ signal }: { signal?: AbortSignal | undefined } = {}): Promise<Message<T> | undefined> {
    if (signal !== undefined && !(signal instanceof AbortSignal)) throw wrong("signal", "an AbortSignal", signal);
    for (;;) {
      signal?.throwIfAborted();
      const event = this.#sleepy();
      const message = this.tryTake();
      if (message || this.#ended()) return message;
      await this.#changed(event, signal);
    }
  }

  /** Every message until the queue is closed and empty. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Message<T>, void> {
    for (;;) {
      const message = await this.takeAsync();
      if (!message) return;
      yield message;
    }
  }

  /**
   * Takes no more from the world; what is in the queue can still be taken. For the thread that made it.
   * @throws CarillonError ERR_CARILLON_OTHER_THREAD
   */
  close(): void {
    if (!this.#owner) {
      throw new CarillonError(
        "ERR_CARILLON_OTHER_THREAD",
        "close: only the thread that made a queue (world.queue) closes it",
      );
    }
    this.#owner.close();
  }

  /** `using queue = world.queue()` closes it at the end of its scope; in other threads nothing. */
  [Symbol.dispose](): void {
    if (this.#owner) this.close();
  }

  /** Takes what is at the front. Others may take it first, so it is copied, and counts if it still is at the front then. */
  #next(): Message<T> | undefined {
    const words = this.#words;
    for (;;) {
      const read = Atomics.load(this.#read, 0);
      const position = Number(BigInt.asIntN(32, read));
      if (position === (Atomics.load(words, Ring.head) & ~Ring.closed)) {
        this.#made(position); // once more: who took the last may have been terminated before it said so
        return undefined;
      }
      const record = Ring.records + ((position & this.#mask) >>> 2);
      const length = words[record + Ring.length] as number;
      const skipped = (length & 1) !== 0;
      const size = words[record + Ring.bytes] as number;
      // What was written over meanwhile is nobody's message any more, and its lengths are nonsense.
      const sound =
        length > 0 && length <= this.#mask + 1 && (skipped || (size >= 0 && size <= length - 4 * Ring.headerWords));
      let message: Message<T> | undefined;
      if (sound && !skipped) {
        const start = 4 * (record + Ring.headerWords);
        message = new Message<T>(
          undefined,
          rankOf(this.#group, words[record + Ring.source] as number),
          words[record + Ring.tag] as number,
          (words[record + Ring.encoding] as number) >>> 0,
          this.#bytes.slice(start, start + size) as Uint8Array<ArrayBuffer>,
          true,
        );
      }
      const end = BigInt.asIntN(64, read + BigInt(length & ~1));
      if (!sound || Atomics.compareExchange(this.#read, 0, read, end) !== read) continue;
      this.#made(Number(BigInt.asIntN(32, end)));
      if (message) return message;
    }
  }

  /** There is room up to this position. */
  #made(position: number): void {
    const words = this.#words;
    if (Atomics.load(words, Ring.behind) !== Behind.room) return;
    const used = ((Atomics.load(words, Ring.head) & ~Ring.closed) - position) >>> 0;
    if (used > (this.#mask + 1) / 2 || Atomics.exchange(words, Ring.asked, 1) !== 0) return;
    Atomics.notify(words, Ring.asked);
  }

  /** Said before the last look: who publishes after it changes the event, and has this thread woken. In this order (core/taker.h). */
  #sleepy(): number {
    const event = Atomics.load(this.#words, Ring.event);
    Atomics.store(this.#words, Ring.asleep, 1);
    return event;
  }

  /** Empty and closed, for a reason that is no error. */
  #ended(): boolean {
    return this.closed && this.#isEmpty(); // in this order: nothing comes after the end
  }

  /** Empty: throws what there is to say about that. */
  #why(alone: boolean): undefined {
    const words = this.#words;
    if (this.#ended()) {
      const status = words[Ring.status] as Status;
      if (status === Status.peerLost || status === Status.peerProtocol) {
        throw failure(
          status,
          { operation: { name: "take", peer: -1, tag: -1, group: this.#group } },
          words[Ring.peer] as number,
          undefined,
        );
      }
    } else if (alone) {
      const byteLength = wide(words, Ring.unfitBytes);
      const source = rankOf(this.#group, words[Ring.unfitSource] as number);
      const tag = words[Ring.unfitTag] as number;
      throw new CarillonError(
        "ERR_CARILLON_TRUNCATED",
        `take: the next message, from rank ${source} with tag ${tag}, has ${byteLength} bytes, more than this queue of ${this.#mask + 1} can hold (half of it); it stays first in line, for a recv`,
        { rank: source, tag, byteLength },
      );
    }
    return undefined;
  }

  async #changed(event: number, signal: AbortSignal | undefined): Promise<void> {
    const waiting = waitAsync(this.#words, Ring.event, event);
    if (!waiting.async) return;
    const alive = setTimeout(() => {}, LONG); // what waits there does not keep a loop alive
    // A wait cannot be taken back: all that wait are woken, and the others look in vain.
    const wake = () => Atomics.notify(this.#words, Ring.event);
    signal?.addEventListener("abort", wake, { once: true });
    try {
      await waiting.value;
    } finally {
      clearTimeout(alive);
      signal?.removeEventListener("abort", wake);
    }
  }

  /** @internal One line for `console.log` and `util.inspect`. */
  [inspect.custom](): string {
    if (!(#words in this)) return "MessageQueue {}"; // the prototype
    const used = (Atomics.load(this.#words, Ring.head) - Number(BigInt.asIntN(32, Atomics.load(this.#read, 0)))) >>> 0;
    return `MessageQueue { byteCapacity: ${this.#mask + 1}, used: ${used & ~1}${this.closed ? ", closed" : ""} }`;
  }
}

/**
 * Memory for a queue.
 * @throws CarillonError ERR_CARILLON_INVALID_ARGUMENT
 * @internal
 */
export function queueMemory(byteCapacity: unknown, members: readonly number[]): Int32Array {
  const asked = byteCapacity ?? DEFAULT_BYTES;
  if (!Number.isInteger(asked) || (asked as number) < 1 || (asked as number) > MOST_BYTES) {
    throw wrong("byteCapacity", `a number of bytes from 1 to ${MOST_BYTES}`, byteCapacity);
  }
  const capacity = Math.max(LEAST_BYTES, 2 ** Math.ceil(Math.log2(asked as number)));
  const words = new Int32Array(new SharedArrayBuffer(4 * (Ring.records + members.length) + capacity));
  words[Ring.capacity] = capacity;
  words[Ring.members] = members.length;
  words.set(members, Ring.records + capacity / 4);
  words[Ring.magic] = MAGIC;
  return words;
}
