// An RxJS Observable that is an async iterable, too: what `world.messages` and `pool.map` return. Made with the first of them, for its
// base class comes from RxJS (rxjs.ts).
// Responsible for being both, and for what such iterators share; not for what they deliver (stream.ts, pool/results.ts).
import type { Observable, Subscriber } from "rxjs";
import { rxjs } from "./rxjs.js";

export interface ObservableIterable<T> extends Observable<T>, AsyncIterable<T> {
  [Symbol.asyncIterator](): AsyncIterableIterator<T>;
}

type Subscribe<T> = (subscriber: Subscriber<T>) => () => void;
type Iterate<T> = () => AsyncIterableIterator<T>;
type ObservableIterableClass = new <T>(subscribe: Subscribe<T>, iterate: Iterate<T>) => ObservableIterable<T>;

let made: ObservableIterableClass | undefined;

/** The class, to extend. Cold: each subscription and each iteration begins by itself. */
export function observableIterable(): ObservableIterableClass {
  made ??= class ObservableIterable<T> extends rxjs().Observable<T> {
    readonly #iterate: Iterate<T>;

    constructor(subscribe: Subscribe<T>, iterate: Iterate<T>) {
      super(subscribe);
      this.#iterate = iterate;
    }

    [Symbol.asyncIterator](): AsyncIterableIterator<T> {
      return this.#iterate();
    }
  };
  return made;
}

/** Who called `next` and has no answer yet. */
export interface Waiting<T> {
  resolve(result: IteratorResult<T, undefined>): void;
  reject(reason: unknown): void;
}

export const DONE = { value: undefined, done: true } as const;

/** Calls `stop` when the signal is aborted, unless what this returns has been called. */
export function onAbort(signal: AbortSignal | undefined, stop: () => void): () => void {
  signal?.addEventListener("abort", stop, { once: true });
  return () => signal?.removeEventListener("abort", stop);
}
