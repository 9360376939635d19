// The standing takers of this thread: what native code is asked when one begins, goes on and stops, and who is told that
// rings have something. Responsible for which there are; not for what is made of what they take (taker.ts, queue.ts).
import type { Communicator } from "./communicator.js";
import { worldRank } from "./group.js";
import type { Message } from "./message.js";
import { Call, type NativeBinding, Queue, Ring } from "./native.js";
import { wakeReaders, wakeReadersNow } from "./notifier.js";
import type { QueueOwner } from "./queue.js";
import { Request } from "./request.js";
import { RING_BYTES, Taker, type TakerOptions } from "./taker.js";

/** What they need of their thread. */
export interface StandingThread {
  /** Says whom the next call of native code is about. */
  call(peer: number, tag: number, context: number): void;
  /** Settles what has completed. */
  drain(): void;
  /** `memory` must not be collected before the request settles. */
  post(index: number, request: Request<void>, memory: unknown): void;
  /** Receives what is next for the taker whose request is in Call.held. */
  receiveNext(source: number, tag: number, communicator: Communicator, alone: Request<Message>): void;
}

export class StandingTakers {
  readonly #native: NativeBinding;
  readonly #queue: Int32Array;
  readonly #thread: StandingThread;
  readonly #takers = new Set<Taker>();

  constructor(native: NativeBinding, queue: Int32Array, thread: StandingThread) {
    this.#native = native;
    this.#queue = queue;
    this.#thread = thread;
  }

  get takers(): Iterable<Taker> {
    return this.#takers;
  }

  take(communicator: Communicator, context: number, options: TakerOptions): Taker {
    const { source, tag, byteCapacity = RING_BYTES } = options;
    const { group } = communicator;
    const thread = this.#thread;
    const words = new Int32Array(new SharedArrayBuffer(4 * Ring.records + byteCapacity));
    thread.call(worldRank(group, source), tag, context);
    const index = this.#native.beginTaking(words, false);
    const request = new Request<void>({ name: "messages", peer: source, tag, group });
    thread.post(index, request, words);
    const taker = new Taker(
      communicator,
      words,
      {
        resume: () => {
          if (request.state === "pending") this.#native.resumeTaking(index);
          thread.drain();
        },
        again: () => Atomics.store(this.#queue, Queue.taken, 1),
        receive: (alone) => {
          thread.call(-1, -1, context);
          this.#queue[Queue.call + Call.held] = index;
          thread.receiveNext(source, tag, communicator, alone);
        },
        stop: (alone) => {
          thread.call(alone ? worldRank(group, alone.source) : -1, alone?.tag ?? -1, context);
          this.#queue[Queue.call + Call.encoding] = alone?.encoding ?? 0;
          this.#native.stopTaking(index, words, alone?.data);
          thread.drain();
        },
      },
      request,
      {
        ...options,
        ended: (reason) => {
          this.#takers.delete(taker);
          options.ended(reason);
        },
      },
    );
    this.#takers.add(taker);
    thread.drain();
    return taker;
  }

  queue(communicator: Communicator, context: number, source: number, tag: number, words: Int32Array): QueueOwner {
    const { group } = communicator;
    this.#thread.call(worldRank(group, source), tag, context);
    const ring = words.subarray(0, Ring.records + (words[Ring.capacity] as number) / 4);
    const index = this.#native.beginTaking(ring, true);
    const request = new Request<void>({ name: "queue", peer: source, tag, group });
    const ended = wakeReaders(words.buffer as SharedArrayBuffer);
    this.#thread.post(index, request, words);
    const over = request.then(ended, ended); // the queue itself says why
    this.#thread.drain();
    return { over, close: () => void request.cancel() };
  }

  /** Some of their rings have something. */
  read(): void {
    Atomics.store(this.#queue, Queue.taken, 0); // before looking: pairs with tell_taken in core/taker.cc
    for (const taker of this.#takers) taker.read();
    wakeReadersNow();
  }
}
