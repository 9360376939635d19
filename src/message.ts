// A received message: who sent it, under which tag, its bytes and the value they encode.
import { inspect } from "node:util";
import type { Communicator } from "./communicator.js";
import { CarillonError } from "./errors.js";
import { native } from "./native.js";
import type { Request } from "./request.js";
import { concatenate, lengthOf } from "./scatter.js";
import { decode, Encoding, formOf } from "./value.js";

export class Message<T = unknown> {
  /** The rank that sent it. */
  readonly source: number;
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
    if (this.#released) {
      throw new CarillonError("ERR_CARILLON_LEASE_RELEASED", "the message was released, its bytes are gone");
    }
    const taken = this.views && formOf(this.#encoding) === Encoding.views && this.#encoding !== Encoding.views;
    return taken ? this.views : decode(this.#encoding, this.data);
  }

  /**
   * Sends `answer` back to this message's source, under the same tag.
   * @throws CarillonError ERR_CARILLON_OTHER_THREAD if it comes out of a MessageQueue, whose readers need not be in the world
   */
  reply(answer: unknown, options: { synchronous?: boolean; signal?: AbortSignal } = {}): Request<void> {
    if (!this.#communicator) {
      throw new CarillonError(
        "ERR_CARILLON_OTHER_THREAD",
        `reply to rank ${this.source}: the message was taken from a queue; where this thread has joined, \`world.send\` answers it`,
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

  [Symbol.dispose](): void {
    this.release();
  }

  [inspect.custom](): string {
    if (!(#encoding in this)) return "Message {}"; // the prototype
    return `Message { source: ${this.source}, tag: ${this.tag}, byteLength: ${this.byteLength} }`;
  }
}
