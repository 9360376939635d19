// One collective in flight: its messages to and from the other members, and its end when it fails.
// Responsible for telling its messages from those of other collectives and for taking back what is outstanding; not for the
// order in which collectives start and for what others hear of a failure (order.ts), nor for algorithms.
import { CarillonError } from "../errors.js";
import type { Message } from "../message.js";
import type { Request } from "../request.js";
import { decode, type Encoded, encode } from "../value.js";

/** What a collective asks of its communicator, in the context that users do not see. */
export interface Port {
  readonly rank: number;
  readonly size: number;
  /** The receiver finds `mark`, 24 bits, above the encoding. */
  send(dest: number, tag: number, value: Encoded, mark: number): Request<void>;
  recv(source: number, tag: number): Request<Message>;
}

/** In the order of their numbers in the mark: append only. */
const NAMES = [
  "barrier",
  "broadcast",
  "gather",
  "scatter",
  "allgather",
  "alltoall",
  "reduce",
  "allreduce",
  "dup",
  "split",
] as const;
export type CollectiveName = (typeof NAMES)[number];

export interface Signature {
  readonly name: CollectiveName;
  readonly root?: number;
  /** Whatever else all members must agree on, as four bits and sixteen. */
  readonly variant?: number;
  readonly shape?: number;
}

/** The encoding word has its encoding in the lowest 8 bits; what value.ts says above them is for lists of views, which collectives do not receive into. */
const ENCODING_BITS = 8;
const ENCODING_MASK = (1 << ENCODING_BITS) - 1;

const nothing = () => {};

/** What a member sends with every message, so that members that do not do the same hear of it. */
function markOf({ name, root = 0, variant = 0, shape = 0 }: Signature): number {
  return ((NAMES.indexOf(name) + 1) << 20) | (variant << 16) | ((root + shape) & 0xffff);
}

export function markedEncoding(encoding: number, mark: number): number {
  return (mark << ENCODING_BITS) | (encoding & ENCODING_MASK);
}

/** What another member sent. */
export class Arrival {
  readonly source: number;
  readonly encoding: number;
  readonly data: Uint8Array;

  constructor(message: Message) {
    this.source = message.source;
    this.encoding = message.encoding & ENCODING_MASK;
    this.data = message.data;
  }

  /** @throws CarillonError ERR_CARILLON_DATA_DECODE */
  get value(): unknown {
    return decode(this.encoding, this.data);
  }

  /** To pass it on. Nothing may write to its memory until it has left. */
  get encoded(): Encoded {
    return { encoding: this.encoding, payload: this.data, owned: true, shared: false };
  }
}

export class Collective {
  readonly name: CollectiveName;
  readonly rank: number;
  readonly size: number;
  readonly #port: Port;
  readonly #tag: number;
  readonly #mark: number;
  readonly #requests: Request<unknown>[] = [];
  #failed = false;
  #reason: unknown;

  constructor(port: Port, signature: Signature, tag: number) {
    this.name = signature.name;
    this.rank = port.rank;
    this.size = port.size;
    this.#port = port;
    this.#tag = tag;
    this.#mark = markOf(signature);
  }

  /** Sends any value. What it covers may not change before the returned promise, or the collective, has settled. */
  send(dest: number, value: unknown): Promise<void> {
    return this.pass(dest, encode(value));
  }

  /** Sends what is encoded already. */
  pass(dest: number, value: Encoded): Promise<void> {
    this.#check();
    const request = this.#port.send(dest, this.#tag, value, this.#mark);
    return request.state === "fulfilled" ? request : this.#keep(request);
  }

  /** The next message of this collective from another member. */
  recv(source: number): Promise<Arrival> {
    this.#check();
    const arrival = this.#keep(this.#port.recv(source, this.#tag)).then((message) => this.#arrival(message));
    arrival.catch(nothing); // it may be awaited after others
    return arrival;
  }

  /** When all that was sent has left. */
  async flush(): Promise<void> {
    for (const request of this.#requests) if (request.state !== "fulfilled") await request;
  }

  /** Fails what is outstanding and what is still to come; the first reason counts. */
  fail(reason: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#reason = reason;
    for (const request of this.#requests) request.withdraw(reason);
  }

  /** After `fail`: when nothing is outstanding, so that nobody uses the caller's memory any more. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#requests);
  }

  /** An error for members that do not do the same. */
  mismatch(what: string, rank: number): CarillonError {
    return new CarillonError("ERR_CARILLON_COLLECTIVE_MISMATCH", `${this.name}: ${what}`, { rank });
  }

  #check(): void {
    if (this.#failed) throw this.#reason;
  }

  #keep<T>(request: Request<T>): Request<T> {
    request.catch(nothing); // it may be awaited after others, or never: `settled` looks at it
    this.#requests.push(request);
    return request;
  }

  #arrival(message: Message): Arrival {
    this.#check();
    const mark = message.encoding >>> ENCODING_BITS;
    if (mark === this.#mark) return new Arrival(message);
    const other = NAMES[(mark >>> 20) - 1] ?? "something else";
    const how = other === this.name ? `${other} with another root, operation, or length` : other;
    throw this.mismatch(`rank ${message.source} called ${how} where this rank called ${this.name}`, message.source);
  }
}
