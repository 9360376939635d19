// An offer: a message that a matched probe took, to be received or given back. What is forgotten goes back by itself.
// Not responsible for matching (core/probe.cc) nor for how requests complete (thread.ts).
import { inspect } from "node:util";
import { checkSignal, memoryOf } from "./arguments.js";
import type { Communicator } from "./communicator.js";
import { CarillonError } from "./errors.js";
import { explained } from "./failures.js";
import type { Message } from "./message.js";
import type { RecvOptions } from "./options.js";
import { Request } from "./request.js";
import { ScatterList } from "./scatter.js";
import type { Thread } from "./thread.js";
import { contentsOf } from "./value.js";

/** What native code calls a message that is held, until this thread leaves its world. */
export interface Held {
  readonly thread: Thread;
  /** Of the thread: which of its stays in a world. */
  readonly stay: number;
  readonly index: number;
  readonly source: number;
  readonly tag: number;
  readonly encoding: number;
  readonly byteLength: number;
}

const forgotten = new FinalizationRegistry<Held>((held) => {
  if (!held.thread.giveBack(held)) return; // this thread has left, and with it what it held
  process.emitWarning(
    `an offer from rank ${held.source} with tag ${held.tag} (${held.byteLength} bytes) was neither received nor given back; its message is back in line`,
    { type: "CarillonWarning", code: "CARILLON_FORGOTTEN_OFFER" },
  );
});

/** A message that a matched probe took: it is this thread's, to be received or given back, and nobody else's meanwhile. */
export class Offer<T = unknown> {
  readonly #held: Held;
  readonly #communicator: Communicator;
  #state: "held" | "received" | "given back" = "held";

  /** @internal Offers come from `mprobe` and `tryMprobe`. */
  constructor(communicator: Communicator, held: Held) {
    this.#communicator = communicator;
    this.#held = held;
    forgotten.register(this, held, this);
  }

  /** The rank that sent it. */
  get source(): number {
    return this.#held.source;
  }

  /** The tag it was sent with. */
  get tag(): number {
    return this.#held.tag;
  }

  /** Bytes on the wire. */
  get byteLength(): number {
    return this.#held.byteLength;
  }

  /**
   * Receives this very message, once. A message up to 16,000 bytes is here; a larger one is still its sender's, who may have
   * cancelled it (ERR_CARILLON_CANCELLED), left or died. When `into` is too small, or the signal aborted already, the offer stays as it is.
   *
   * Rejects with ERR_CARILLON_OFFER_TAKEN, _TRUNCATED, _CANCELLED, _CLOSED, _PEER_CLOSED, _PEER_LOST, _INVALID_ARGUMENT,
   * _INVALID_BUFFER, _BUFFER_DETACHED, or the signal's reason.
   */
  recv(options: Pick<RecvOptions, "into" | "signal"> = {}): Request<Message<T>> {
    const { into, signal } = options ?? {};
    const { thread, source, tag, encoding, byteLength } = this.#held;
    const what = `recv of an offer from rank ${source} with tag ${tag}`;
    try {
      checkSignal(signal);
      const memory = memoryOf(into);
      if (this.#state !== "held") {
        throw new CarillonError("ERR_CARILLON_OFFER_TAKEN", `${what}: it was ${this.#state} already`, {
          rank: source,
          tag,
        });
      }
      if (!thread.holds(this.#held)) {
        throw new CarillonError("ERR_CARILLON_CLOSED", `${what}: the world was closed`, { rank: source, tag });
      }
      const needed = memory instanceof ScatterList ? contentsOf(byteLength, encoding) : byteLength;
      if (memory && needed > memory.byteLength) {
        throw new CarillonError(
          "ERR_CARILLON_TRUNCATED",
          `${what}: the message has ${needed} bytes, \`into\` has room for ${memory.byteLength}; the offer stands`,
          { rank: source, tag, byteLength: needed },
        );
      }
      this.#end("received");
      return thread.recvHeld<T>(this.#held, this.#communicator, memory, signal);
    } catch (error) {
      return new Request<Message<T>>({ name: "recv", peer: source, tag }).fail(explained(error, "recv", source, tag));
    }
  }

  /**
   * The message returns to its place in line: before later ones of its source and tag, and to the first waiting receive or
   * probe that matches it. False: it was received or given back already, or went back when the world was closed.
   */
  giveBack(): boolean {
    if (this.#state !== "held" || !this.#held.thread.giveBack(this.#held)) return false;
    this.#end("given back");
    return true;
  }

  /** `using offer = await world.mprobe()` gives it back at the end of its scope, unless it was received. */
  [Symbol.dispose](): void {
    this.giveBack();
  }

  #end(state: "received" | "given back"): void {
    this.#state = state;
    forgotten.unregister(this);
  }

  /** @internal One line for `console.log` and `util.inspect`. */
  [inspect.custom](): string {
    if (!(#held in this)) return "Offer {}"; // the prototype
    const { source, tag, byteLength } = this.#held;
    return `Offer { source: ${source}, tag: ${tag}, byteLength: ${byteLength}, ${this.#state} }`;
  }
}
