// Where a mapping's inputs come from: whatever can be iterated or subscribed to, as one kind of iterator.
// Responsible for asking and stopping each kind; not for when to ask (mapping.ts).
import type { Message } from "../message.js";
import { MessageQueue } from "../queue.js";
import { isMessageStream, type MessageStream } from "../stream.js";

/** An RxJS Observable, or what looks like one. */
export interface ObservableLike<T> {
  /** Begins, and calls `observer` for each value, then for the end or the failure. */
  subscribe(observer: { next(value: T): void; error(reason: unknown): void; complete(): void }): {
    /** Stops. */
    unsubscribe(): void;
  };
}

/** What `pool.map` takes: a MessageStream is an async iterable. An Observable is one that pushes, and cannot be held back. */
export type MapSource<T> =
  | AsyncIterable<T>
  | Iterable<T | PromiseLike<T>>
  | ObservableLike<T>
  | (T extends Message<infer V> ? MessageStream<V> : never);

export interface Inputs<T> {
  /** One call at a time. */
  next(): Promise<IteratorResult<T, unknown>> | IteratorResult<T, unknown>;
  /** No more is asked for. Settles when what was taken and not delivered is back, as far as the source can say. */
  stop(): Promise<void>;
}

export function isSource(source: unknown): source is MapSource<unknown> {
  const kinds = source as
    | Partial<AsyncIterable<unknown> & Iterable<unknown> & ObservableLike<unknown>>
    | null
    | undefined;
  if (typeof source !== "object" && typeof source !== "function" && typeof source !== "string") return false;
  return [kinds?.[Symbol.asyncIterator], kinds?.[Symbol.iterator], kinds?.subscribe].some(
    (each) => typeof each === "function",
  );
}

/** Begins. What it throws is the source's. */
export function inputsOf<T>(source: MapSource<T>): Inputs<T> {
  const kinds = source as Partial<AsyncIterable<T> & Iterable<T | PromiseLike<T>> & ObservableLike<T>>;
  if (source instanceof MessageQueue) return new Queued(source) as unknown as Inputs<T>;
  const asynchronous = kinds[Symbol.asyncIterator]?.();
  if (asynchronous) return new Iterated(asynchronous, isMessageStream(source as object));
  if (kinds[Symbol.iterator]) return new Iterated(awaiting(kinds as Iterable<T | PromiseLike<T>>), false);
  return new Pushed(kinds as ObservableLike<T>);
}

async function* awaiting<T>(source: Iterable<T | PromiseLike<T>>): AsyncGenerator<Awaited<T>> {
  for (const value of source) yield await value;
}

class Iterated<T> implements Inputs<T> {
  readonly #iterator: AsyncIterator<T, unknown>;
  readonly #interruptible: boolean;
  #asked = false;

  /** `interruptible`: its `return` ends a `next` that waits. A generator's waits for it. */
  constructor(iterator: AsyncIterator<T, unknown>, interruptible: boolean) {
    this.#iterator = iterator;
    this.#interruptible = interruptible;
  }

  async next(): Promise<IteratorResult<T, unknown>> {
    this.#asked = true;
    try {
      return await this.#iterator.next();
    } finally {
      this.#asked = false;
    }
  }

  async stop(): Promise<void> {
    const stopped = this.#iterator.return?.();
    if (this.#asked && !this.#interruptible) void Promise.resolve(stopped).catch(() => {});
    else await stopped;
  }
}

/** A queue's own iterator could not be stopped while it waits: it would take one message more. */
class Queued implements Inputs<Message> {
  readonly #queue: MessageQueue;
  readonly #stop = new AbortController();

  constructor(queue: MessageQueue) {
    this.#queue = queue;
  }

  async next(): Promise<IteratorResult<Message, undefined>> {
    const value = await this.#queue.takeAsync({ signal: this.#stop.signal });
    return value ? { value, done: false } : { value, done: true };
  }

  async stop(): Promise<void> {
    this.#stop.abort();
  }
}

class Pushed<T> implements Inputs<T> {
  readonly #values: T[] = [];
  readonly #subscription: { unsubscribe(): void };
  #end: { reason?: unknown } | undefined;
  #wake = () => {};

  constructor(source: ObservableLike<T>) {
    this.#subscription = source.subscribe({
      next: (value) => {
        this.#values.push(value);
        this.#wake();
      },
      error: (reason) => this.#ended({ reason }),
      complete: () => this.#ended({}),
    });
  }

  async next(): Promise<IteratorResult<T, unknown>> {
    while (this.#values.length === 0) {
      if (this.#end && "reason" in this.#end) throw this.#end.reason;
      if (this.#end) return { value: undefined, done: true };
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return { value: this.#values.shift() as T, done: false };
  }

  async stop(): Promise<void> {
    this.#values.length = 0;
    this.#subscription.unsubscribe();
    this.#ended({});
  }

  #ended(end: { reason?: unknown }): void {
    this.#end ??= end;
    this.#wake();
  }
}
