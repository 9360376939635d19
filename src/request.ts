// A Request: a real Promise that can be cancelled and inspected. Not responsible for what completes it (thread.ts).
import { inspect } from "node:util";
import type { Observable } from "rxjs";
import type { Communicator } from "./communicator.js";
import { CarillonError } from "./errors.js";
import type { Group } from "./group.js";
import { rxjs } from "./rxjs.js";
import { append, type Place, placeOf } from "./stacks.js";

/** What a request is about, for error messages and inspection. */
export interface Operation {
  readonly name: "send" | "recv" | "mprobe" | "join" | "messages" | "queue" | "take";
  /** dest or source; -1 for any. */
  readonly peer: number;
  /** -1 for any. */
  readonly tag: number;
  /** Whose ranks `peer` counts; undefined: the world's. */
  readonly group?: Group | undefined;
}

/** What a pending request may ask of the thread that posted it. */
export interface RequestOwner {
  cancel(index: number): boolean;
  reference(index: number, keepsAlive: boolean): void;
}

/** As a Promise: not settled yet, resolved, or rejected. */
export type RequestState = "pending" | "fulfilled" | "rejected";

const nothing = () => {};

// One executor for all requests: a closure for each would be compiled lazily each time.
let resolveNew: (value: unknown) => void = nothing;
let rejectNew: (reason: unknown) => void = nothing;
function executor(resolve: (value: never) => void, reject: (reason: unknown) => void): void {
  resolveNew = resolve as (value: unknown) => void;
  rejectNew = reject;
}

/**
 * The Promise that `send` and `recv` return. `await`, `then`, `Promise.all` and `Promise.race` work as with any Promise,
 * and what they return are plain Promises.
 */
export class Request<T> extends Promise<T> {
  // `await` takes the short way for promises whose constructor is Promise: 84 ns against 236.
  /** @internal */
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  #state: RequestState = "pending";
  #resolve: (value: unknown) => void;
  #reject: (reason: unknown) => void;
  #owner: RequestOwner | undefined;
  #index = -1;
  // What it is about; not an object more for each of many requests.
  readonly #name: Operation["name"] | undefined;
  readonly #peer: number;
  readonly #tag: number;
  readonly #group: Group | undefined;
  #signal: AbortSignal | undefined;
  #onAbort: (() => void) | undefined;
  #withdrawn: unknown;
  #communicator: Communicator | undefined;
  #memory: unknown;
  #posted: Place | undefined;

  /** @internal Requests are made by `send` and `recv`. */
  constructor(operation?: Operation) {
    super(executor);
    this.#resolve = resolveNew;
    this.#reject = rejectNew;
    this.#name = operation?.name;
    this.#peer = operation?.peer ?? -1;
    this.#tag = operation?.tag ?? -1;
    this.#group = operation?.group;
  }

  /** "pending" until the operation has completed or failed. */
  get state(): RequestState {
    return this.#state;
  }

  /**
   * Takes the operation back if nobody has matched it: true, and the request rejects with ERR_CARILLON_CANCELLED, which
   * counts as handled. False: it is too late, the request settles as if nothing had been asked; only a large send that its
   * receiver takes at this very moment may still be refused for it, and then rejects with that code.
   */
  cancel(): boolean {
    return this.#state === "pending" && this.#owner !== undefined && this.#owner.cancel(this.#index);
  }

  /** Keeps the process alive until this request settles (the default). */
  ref(): this {
    if (this.#state === "pending") this.#owner?.reference(this.#index, true);
    return this;
  }

  /** Lets the process end although this request is pending. */
  unref(): this {
    if (this.#state === "pending") this.#owner?.reference(this.#index, false);
    return this;
  }

  /**
   * An RxJS Observable of the result, whose `unsubscribe` cancels the request: `defer(() => world.recv({ tag }).toObservable())` posts a
   * receive for each subscription. (`from(request)` would not cancel it.) It is one request, however many subscribe. Loads RxJS.
   */
  toObservable(): Observable<T> {
    const { Observable } = rxjs();
    return new Observable<T>((subscriber) => {
      this.then(
        (value) => {
          subscriber.next(value);
          subscriber.complete();
        },
        (reason) => subscriber.error(reason),
      );
      return () => void this.cancel();
    });
  }

  /** @internal */
  get operation(): Operation | undefined {
    const name = this.#name;
    return name && { name, peer: this.#peer, tag: this.#tag, group: this.#group };
  }

  /** @internal */
  get operationName(): Operation["name"] | undefined {
    return this.#name;
  }

  /** @internal Receive: whom the message belongs to. */
  get communicator(): Communicator | undefined {
    return this.#communicator;
  }

  /** @internal Receive: where the bytes shall be. Send: what must not be collected meanwhile. Not kept after this. */
  giveUpMemory(): unknown {
    const memory = this.#memory;
    this.#memory = undefined;
    return memory;
  }

  /** @internal The native request behind it, while it is pending. */
  post(
    owner: RequestOwner,
    index: number,
    signal: AbortSignal | undefined,
    communicator: Communicator | undefined,
    memory: unknown,
  ): this {
    this.#owner = owner;
    this.#index = index;
    this.#communicator = communicator;
    this.#memory = memory;
    this.#posted = placeOf(Request.prototype.post);
    if (signal) {
      this.#signal = signal;
      this.#onAbort = () => void this.cancel();
      signal.addEventListener("abort", this.#onAbort, { once: true });
    }
    return this;
  }

  /** @internal */
  fulfill(value: T): this {
    this.#state = "fulfilled";
    if (this.#signal) this.#forgetSignal();
    this.#resolve(value);
    return this;
  }

  /** @internal `handled`: the user asked for it, nobody needs to catch it. */
  fail(reason: unknown, handled = false): this {
    this.#state = "rejected";
    if (this.#signal) this.#forgetSignal();
    if (this.#posted && reason instanceof CarillonError) append(reason, this.#name ?? "request", this.#posted);
    if (handled) super.then(undefined, nothing);
    this.#reject(reason);
    return this;
  }

  /** @internal As `cancel()`, but rejects with `reason`, which is not handled. */
  withdraw(reason: unknown): boolean {
    this.#withdrawn = reason;
    if (this.cancel()) return true;
    this.#withdrawn = undefined;
    return false;
  }

  /** @internal Cancelled: by its signal, with the signal's reason, by `cancel()` or `withdraw()`. */
  failCancelled(error: () => CarillonError): this {
    if (this.#withdrawn !== undefined) return this.fail(this.#withdrawn);
    const signal = this.#signal;
    return signal?.aborted ? this.fail(signal.reason) : this.fail(error(), true);
  }

  #forgetSignal(): void {
    if (this.#onAbort) this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#onAbort = undefined;
  }

  /** @internal One line for `console.log` and `util.inspect`. */
  [inspect.custom](): string {
    if (!(#name in this)) return "Request {}"; // the prototype
    const [name, peer, tag] = [this.#name ?? "request", this.#peer, this.#tag];
    if (name === "send" && peer < 0) return `Request { send, ${this.#state} }`; // shared by all that left at once
    const any = (n: number) => (n < 0 ? "any" : n);
    return `Request { ${name} ${name === "send" ? "dest" : "source"}: ${any(peer)}, tag: ${any(tag)}, ${this.#state} }`;
  }
}

// Without this, `await request` would wrap the request in another promise.
Object.defineProperty(Request.prototype, "constructor", { value: Promise, configurable: true });
