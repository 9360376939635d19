// What `pool.map` returns: results as an RxJS Observable and an async iterable.
// Responsible for handing out what a mapping has, in either way, and for signals; not for what is taken and run when (mapping.ts).
import { inspect } from "node:util";
import type { Subscriber } from "rxjs";
import { DONE, type ObservableIterable, observableIterable, onAbort, type Waiting } from "../observable-iterable.js";
import { Mapping, type MappingOptions } from "./mapping.js";

/**
 * The results of a task for each input. Cold: each subscription and each iteration takes inputs by itself, from when it begins on.
 *
 * It fails with what the source failed with, with what a task threw, or with the signal's reason. Whoever stops (`break`, `unsubscribe`) lets
 * the tasks that run finish, and drops what they give.
 */
export interface ResultStream<R> extends ObservableIterable<R> {
  /** Takes inputs as results are asked for: one that is not read holds its source back. `break` stops it. */
  [Symbol.asyncIterator](): AsyncIterableIterator<R>;
}

export interface ResultStreamOptions<I, R> {
  /** What one pass needs; `signal` is the one by which its tasks are aborted. */
  readonly pass: (signal: AbortSignal | undefined) => Omit<MappingOptions<I, R>, "changed">;
  readonly signal: AbortSignal | undefined;
  readonly description: string;
}

/** A mapping and its signal. */
class Pass<I, R> {
  readonly #mapping: Mapping<I, R>;
  readonly #forgetSignal: () => void;

  /** `changed`: call `take`. `aborted`: nothing follows. */
  constructor({ pass, signal }: ResultStreamOptions<I, R>, changed: () => void, aborted: (reason: unknown) => void) {
    signal?.throwIfAborted();
    const kill = signal && new AbortController();
    this.#mapping = new Mapping({ ...pass(kill?.signal), changed });
    this.#forgetSignal = onAbort(signal, () => {
      void this.stop().catch(() => {});
      kill?.abort(signal?.reason);
      aborted(signal?.reason);
    });
  }

  take(): ReturnType<Mapping<I, R>["take"]> {
    const taken = this.#mapping.take();
    if (taken && "end" in taken) this.#forgetSignal();
    return taken;
  }

  stop(): Promise<void> {
    this.#forgetSignal();
    return this.#mapping.stop();
  }
}

function subscribe<I, R>(options: ResultStreamOptions<I, R>, subscriber: Subscriber<R>): () => void {
  const pass = new Pass(
    options,
    () => {
      for (let taken = pass.take(); taken && !subscriber.closed; taken = pass.take()) {
        if ("value" in taken) subscriber.next(taken.value);
        else if (taken.end) subscriber.error(taken.end.reason);
        else subscriber.complete();
      }
    },
    (reason) => subscriber.error(reason),
  );
  return () => void pass.stop().catch(() => {});
}

class ResultIterator<I, R> implements AsyncIterableIterator<R> {
  readonly #options: ResultStreamOptions<I, R>;
  readonly #waiting: Waiting<R>[] = [];
  #pass: Pass<I, R> | undefined;
  #ended = false;
  /** What the next call of `next` rejects with. */
  #failure: { readonly reason: unknown } | undefined;

  constructor(options: ResultStreamOptions<I, R>) {
    this.#options = options;
  }

  next(): Promise<IteratorResult<R, undefined>> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#deliver();
    });
  }

  /** Stops; resolves when the source has stopped. */
  async return(): Promise<IteratorReturnResult<undefined>> {
    this.#end(undefined);
    this.#failure = undefined;
    await this.#pass?.stop();
    return DONE;
  }

  async throw(reason?: unknown): Promise<IteratorReturnResult<undefined>> {
    await this.return();
    throw reason;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #deliver(): void {
    if (!this.#ended) this.#begin();
    while (this.#waiting.length > 0 && !this.#ended) {
      const taken = this.#pass?.take();
      if (!taken) return;
      if ("value" in taken) this.#waiting.shift()?.resolve({ value: taken.value, done: false });
      else this.#end(taken.end);
    }
    if (this.#ended) this.#settle();
  }

  #begin(): void {
    try {
      this.#pass ??= new Pass(
        this.#options,
        () => this.#deliver(),
        (reason) => this.#end({ reason }),
      );
    } catch (reason) {
      this.#end({ reason });
    }
  }

  #end(failure: { readonly reason: unknown } | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#failure = failure;
    this.#settle();
  }

  /** The first who waits hears of a failure, the others of the end. */
  #settle(): void {
    const failure = this.#failure;
    if (failure && this.#waiting.length > 0) {
      this.#failure = undefined;
      this.#waiting.shift()?.reject(failure.reason);
    }
    for (const { resolve } of this.#waiting.splice(0)) resolve(DONE);
  }
}

type ResultStreamClass = new <I, R>(options: ResultStreamOptions<I, R>) => ResultStream<R>;
let resultStreamClass: ResultStreamClass | undefined;

/** The class is made when it is first needed. */
function makeClass(): ResultStreamClass {
  return class ResultStream<I, R> extends observableIterable()<R> {
    readonly #description: string;

    constructor(options: ResultStreamOptions<I, R>) {
      super(
        (subscriber) => subscribe(options, subscriber),
        () => new ResultIterator(options),
      );
      this.#description = options.description;
    }

    [inspect.custom](): string {
      return #description in this ? `ResultStream { ${this.#description} }` : "ResultStream {}"; // the prototype
    }
  };
}

export function resultStream<I, R>(options: ResultStreamOptions<I, R>): ResultStream<R> {
  resultStreamClass ??= makeClass();
  return new resultStreamClass(options);
}
