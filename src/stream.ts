// MessageStream: the messages of a standing taker as an RxJS Observable, an async iterable and a Readable.
// Responsible for how each of them asks for messages, ends, and stops; not for what a taker takes and gives back (taker.ts).
import { Readable } from "node:stream";
import type { Subscriber } from "rxjs";
import { CarillonError } from "./errors.js";
import type { Message } from "./message.js";
import { DONE, type ObservableIterable, observableIterable, onAbort, type Waiting } from "./observable-iterable.js";
import { type Taker, type TakerOptions, TURN } from "./taker.js";

/**
 * Messages as they come, that no receive or probe waits for. Cold: each subscription, iteration and Readable takes by itself, from when it
 * begins on, and of several that match the one that began first takes all. `share()` lets many see the same.
 *
 * It completes when every source has left the world properly (after all that it sent), and when this thread closes the world; it
 * fails with ERR_CARILLON_PEER_LOST or _PEER_PROTOCOL when the last source is gone and one has died, with the signal's reason, and with
 * ERR_CARILLON_CLOSED if it is begun in a closed world. Whoever stops (`unsubscribe`, `break`, `destroy`, the signal) gives back what
 * was taken for him and not delivered: it returns to its place in line.
 */
export interface MessageStream<T = unknown> extends ObservableIterable<Message<T>> {
  /** Takes when asked for a message; a consumer that is behind holds its senders back. `break` stops it. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Message<T>>;
  /** In object mode, with at most one message in its buffer: as with iteration, a consumer that is behind holds its senders back. */
  toReadable(): Readable;
}

type Handlers = Pick<TakerOptions, "deliver" | "ready" | "ended">;
/** Begins a taker. @throws CarillonError ERR_CARILLON_CLOSED */
type Begin = (handlers: Handlers) => Taker;

/** Whether nothing more comes for a good reason: all have left, or this thread has. */
function endedWell(reason: unknown): boolean {
  const code = reason instanceof CarillonError ? reason.code : undefined;
  return code === "ERR_CARILLON_PEER_CLOSED" || code === "ERR_CARILLON_CLOSED";
}

function subscribe<T>(begin: Begin, signal: AbortSignal | undefined, subscriber: Subscriber<Message<T>>): () => void {
  signal?.throwIfAborted();
  const taker = begin({
    deliver: (message) => subscriber.next(message as Message<T>),
    ended: (reason) => (endedWell(reason) ? subscriber.complete() : subscriber.error(reason)),
  });
  const forgetSignal = onAbort(signal, () => subscriber.error(signal?.reason));
  return () => {
    forgetSignal();
    void taker.stop();
  };
}

class MessageIterator<T> implements AsyncIterableIterator<Message<T>> {
  readonly #begin: Begin;
  readonly #signal: AbortSignal | undefined;
  readonly #waiting: Waiting<Message<T>>[] = [];
  #taker: Taker | undefined;
  #forgetSignal = () => {};
  /** Messages before the loop's other callbacks have their turn: promises alone would never let them. */
  #left = TURN;
  #ended = false;
  /** What the next call of `next` rejects with. */
  #failure: { reason: unknown } | undefined;

  constructor(begin: Begin, signal: AbortSignal | undefined) {
    this.#begin = begin;
    this.#signal = signal;
  }

  next(): Promise<IteratorResult<Message<T>, undefined>> {
    const taker = this.#ended ? undefined : (this.#taker ?? this.#start());
    if (!taker) return this.#afterEnd();
    if (this.#left > 0 && this.#waiting.length === 0) {
      const message = taker.next();
      if (message) {
        this.#left--;
        return Promise.resolve({ value: message as Message<T>, done: false });
      }
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      taker.resume();
    });
  }

  /** Stops; resolves when what was not delivered is back in its place in line. */
  async return(): Promise<IteratorReturnResult<undefined>> {
    await this.#stop();
    return DONE;
  }

  async throw(reason?: unknown): Promise<IteratorReturnResult<undefined>> {
    await this.#stop();
    throw reason;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #start(): Taker | undefined {
    try {
      this.#signal?.throwIfAborted();
      this.#taker = this.#begin({ ready: () => this.#deliver(), ended: (reason) => this.#end(reason) });
      this.#forgetSignal = onAbort(this.#signal, () => {
        void this.#taker?.stop();
        this.#end(this.#signal?.reason);
      });
    } catch (reason) {
      this.#end(reason, true);
    }
    return this.#taker;
  }

  #deliver(): void {
    this.#left = TURN;
    const taker = this.#taker as Taker;
    while (this.#waiting.length > 0) {
      const message = taker.next();
      if (!message) {
        taker.resume();
        return;
      }
      this.#left--;
      this.#waiting.shift()?.resolve({ value: message as Message<T>, done: false });
    }
  }

  #end(reason: unknown, failed = !endedWell(reason)): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#forgetSignal();
    if (failed) {
      const first = this.#waiting.shift();
      if (first) first.reject(reason);
      else this.#failure = { reason };
    }
    for (const { resolve } of this.#waiting.splice(0)) resolve(DONE);
  }

  #stop(): Promise<void> | undefined {
    this.#end(undefined, false);
    this.#failure = undefined;
    return this.#taker?.stop();
  }

  #afterEnd(): Promise<IteratorReturnResult<undefined>> {
    const failure = this.#failure;
    this.#failure = undefined;
    return failure ? Promise.reject(failure.reason) : Promise.resolve(DONE);
  }
}

class MessageReadable extends Readable {
  readonly #begin: Begin;
  #taker: Taker | undefined;
  #forgetSignal = () => {};
  #left = TURN;

  constructor(begin: Begin, signal: AbortSignal | undefined) {
    super({ objectMode: true, highWaterMark: 1 });
    this.#begin = begin;
    if (signal?.aborted) this.destroy(signal.reason);
    else this.#forgetSignal = onAbort(signal, () => this.destroy(signal?.reason));
  }

  override _read(): void {
    try {
      this.#taker ??= this.#begin({
        ready: () => {
          this.#left = TURN;
          this.#pushNext();
        },
        ended: (reason) => {
          if (endedWell(reason)) this.push(null);
          else this.destroy(reason as Error);
        },
      });
    } catch (reason) {
      this.destroy(reason as Error);
      return;
    }
    this.#pushNext();
  }

  // One that flows would still hand out what is in its buffer, and that has gone back.
  override read(size?: number): unknown {
    return this.destroyed ? null : super.read(size);
  }

  #pushNext(): void {
    const message = this.#left > 0 ? this.#taker?.next() : undefined;
    if (message) {
      this.#left--;
      this.push(message);
    } else {
      this.#taker?.resume();
    }
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#forgetSignal();
    // With this high-water mark what is buffered is the last that was pushed: nobody has seen it.
    const stopped = this.#taker?.stop(this.readableLength > 0);
    if (stopped) void stopped.then(() => callback(error));
    else callback(error);
  }
}

type StreamClass = new <T>(begin: Begin, signal: AbortSignal | undefined) => MessageStream<T>;
let streamClass: StreamClass | undefined;

/** The class is made when the first stream is. */
function makeClass(): StreamClass {
  return class MessageStream<T> extends observableIterable()<Message<T>> {
    readonly #begin: Begin;
    readonly #signal: AbortSignal | undefined;

    constructor(begin: Begin, signal: AbortSignal | undefined) {
      super(
        (subscriber) => subscribe(begin, signal, subscriber),
        () => new MessageIterator<T>(begin, signal),
      );
      this.#begin = begin;
      this.#signal = signal;
    }

    toReadable(): Readable {
      return new MessageReadable(this.#begin, this.#signal);
    }
  };
}

export function messageStream<T>(begin: Begin, signal: AbortSignal | undefined): MessageStream<T> {
  streamClass ??= makeClass();
  return new streamClass<T>(begin, signal);
}

/** Whether it can be stopped while it is waited for, and then gives back what it has taken. */
export function isMessageStream(value: object): boolean {
  return streamClass !== undefined && value instanceof streamClass;
}
