// A received message: who sent it, under which tag, its bytes and the value they encode.
import { inspect } from "node:util";
import type { Communicator } from "./communicator.js";
import { CarillonError } from "./errors.js";
import { type Departure, HAND_OVER, type Hold, type MessageOnItsWay } from "./handing.js";
import { native } from "./native.js";
import type { Request } from "./request.js";
import { concatenate, lengthOf } from "./scatter.js";
import { checkView, decode, Encoding, formOf } from "./value.js";

/** A received message, from `recv`, an offer, a stream, a queue, or `sendrecv`. `T` is the type of what was sent, which nothing checks. */
export class Message<T = unknown> {
  /** The rank that sent it. */
  readonly source: number;
  /** The tag it was sent with. */
  readonly tag: number;
  /** Received into a list of views: what of them was filled, in order. */
  readonly views: readonly Uint8Array[] | undefined;
  #data: Uint8Array | undefined;
  readonly #communicator: Communicator | undefined;
  readonly #encoding: number;
  readonly #ownsMemory: boolean;
  readonly #byteLength: number;
  #released = false;
  #decoded = false;
  #value: T | undefined;

  /** @internal Messages come from `recv`. */
  constructor(
    communicator: Communicator | undefined,
    source: number,
    tag: number,
    encoding: number,
    data: Uint8Array | readonly Uint8Array[],
    ownsMemory: boolean,
  ) {
    this.#communicator = communicator;
    this.source = source;
    this.tag = tag;
    this.#encoding = encoding;
    if (data instanceof Uint8Array) this.#data = data;
    else this.views = data;
    this.#byteLength = data instanceof Uint8Array ? data.byteLength : lengthOf(data);
    this.#ownsMemory = ownsMemory;
  }

  /** @internal The encoding word that came with it. */
  get encoding(): number {
    return this.#encoding;
  }

  /** The bytes on the wire: what `into` or this message's own memory holds. With a list: a copy of `views` in one piece. */
  get data(): Uint8Array {
    this.#data ??= concatenate(this.views ?? []);
    return this.#data;
  }

  /** Bytes on the wire; with a list, those that went into it. */
  get byteLength(): number {
    return this.#byteLength;
  }

  /**
   * What was sent: deep-equals `structuredClone(sent)`, with the deviations of docs/values.md. Decoded on first use, over
   * `data` where it can be: typed arrays share its memory. An array of views received into a list is `views`.
   * @throws CarillonError ERR_CARILLON_DATA_DECODE if the bytes are no value, ERR_CARILLON_LEASE_RELEASED
   */
  get value(): T {
    if (!this.#decoded) {
      try {
        this.#value = this.#decode() as T;
      } catch (error) {
        if (!(error instanceof CarillonError)) throw error;
        const { source: rank, tag } = this;
        throw error.during(`value of the message from rank ${rank} with tag ${tag}`, { rank, tag });
      }
      this.#decoded = true;
    }
    return this.#value as T;
  }

  #decode(): unknown {
    this.#mustHaveBytes();
    const taken = this.views && formOf(this.#encoding) === Encoding.views && this.#encoding !== Encoding.views;
    return taken ? this.views : decode(this.#encoding, this.data);
  }

  /**
   * Sends `answer` back to this message's source, under the same tag.
   * @throws CarillonError ERR_CARILLON_OTHER_THREAD if it comes out of a MessageQueue, or was handed to a pool's task: threads that
   * need not be in the world
   */
  reply(answer: unknown, options: { synchronous?: boolean; signal?: AbortSignal } = {}): Request<void> {
    if (!this.#communicator) {
      throw new CarillonError(
        "ERR_CARILLON_OTHER_THREAD",
        `reply to rank ${this.source}: the message came from a queue or another thread; where this thread has joined, \`world.send\` answers it`,
        { rank: this.source, tag: this.tag },
      );
    }
    return this.#communicator.send(answer, { ...options, dest: this.source, tag: this.tag });
  }

  /**
   * Gives the message's memory back: `data`, and what of `value` lies over it, are detached. A lease that was received goes back
   * to its owner. The caller's own memory (`into`) is left alone. A message that is forgotten is released when it is collected.
   */
  release(): void {
    if (this.#released || !this.#ownsMemory) return;
    this.#released = true;
    native().release(this.data);
  }

  /** `using message = await world.recv()` releases it at the end of its scope. */
  [Symbol.dispose](): void {
    this.release();
  }

  #mustHaveBytes(): void {
    if (!this.#released) return;
    throw new CarillonError(
      "ERR_CARILLON_LEASE_RELEASED",
      "the message was released or handed over, its bytes are gone",
    );
  }

  /** @internal To another thread: a task of a ComputePool, or its result. */
  [HAND_OVER](): Departure<MessageOnItsWay> {
    this.#mustHaveBytes();
    const { data, source, tag, encoding } = this;
    checkView(data, "the message's memory");
    const detached = this.#ownsMemory && data.byteLength < this.#byteLength;
    if (detached) throw new CarillonError("ERR_CARILLON_BUFFER_DETACHED", "the message's memory was transferred");
    return {
      leave: (hold) => {
        const bytes = this.#ownsMemory ? leave(data, hold) : data.slice();
        this.#released = this.#ownsMemory;
        return { source, tag, encoding, bytes };
      },
      comeBack: (hold, { bytes }) => {
        if (!this.#ownsMemory) return;
        if (!(bytes instanceof Uint8Array)) this.#data = new Uint8Array(hold.claim(bytes.ticket));
        this.#released = false;
      },
    };
  }

  /** @internal One line for `console.log` and `util.inspect`. */
  [inspect.custom](): string {
    if (!(#encoding in this)) return "Message {}"; // the prototype
    return `Message { source: ${this.source}, tag: ${this.tag}, byteLength: ${this.byteLength} }`;
  }
}

/** Without a copy where it can be: memory that native code has handed over, or all of an ArrayBuffer. */
function leave(data: Uint8Array, hold: Hold): MessageOnItsWay["bytes"] {
  const { buffer, byteLength } = data;
  const ticket = byteLength > 0 ? hold.consign(data) : undefined;
  if (ticket !== undefined) return { ticket };
  // The clone of a view has all of its buffer.
  if (buffer.byteLength !== byteLength || !(buffer instanceof ArrayBuffer)) return data.slice();
  hold.transfer(buffer);
  return data;
}

/** @internal A message that comes from another thread. */
export function arrivedMessage({ source, tag, encoding, bytes }: MessageOnItsWay, hold: Hold): Message {
  const data = bytes instanceof Uint8Array ? bytes : new Uint8Array(hold.claim(bytes.ticket));
  return new Message(undefined, source, tag, encoding, data, true);
}
