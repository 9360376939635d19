// What a thread sees of its world beside its own requests: peers that end, and sends that have to wait at their peers.
// Responsible for telling each once, to channels and the debug log; not for what requests make of it (thread.ts) nor for what the
// channels are (events.ts).
import { channelOf, debug, publish } from "./events.js";
import { Ending, type NativeBinding, Queue } from "./native.js";

export class Observer {
  readonly #native: NativeBinding;
  readonly #queue: Int32Array;
  readonly #on = channelOf("carillon:backpressure.on");
  readonly #off = channelOf("carillon:backpressure.off");
  readonly #logs = debug.enabled;
  /** How each rank has ended as far as it was told; undefined while this thread is in no world. */
  #told: Uint8Array | undefined;
  #rank = -1;
  /** When the first of the sends that wait came to wait, in ms. */
  #heldUpSince: number | undefined;

  constructor(native: NativeBinding, queue: Int32Array) {
    this.#native = native;
    this.#queue = queue;
  }

  /** This thread has joined. Who ended before that is told next. */
  begin(rank: number, size: number): void {
    this.#rank = rank;
    this.#told = new Uint8Array(size);
    const doorbell = this.#native.doorbell() ?? "";
    debug("rank %d of %d: joined, rung by %s", rank, size, doorbell);
    publish("carillon:connect", () => {
      const peers = Array.from({ length: size }, (_, other) => other).filter((other) => other !== rank);
      return { rank, size, doorbell, peers };
    });
    this.#lookAtPeers();
  }

  /** This thread leaves: nothing is told but what its requests may have heard already. */
  end(): void {
    this.#lookAtPeers();
    if (this.#told) debug("rank %d: this thread leaves", this.#rank);
    this.#told = undefined;
    this.#heldUpSince = undefined;
    this.#queue[Queue.hearsOfRoom] = 0;
  }

  /** Native code has news (Queue.news). */
  look(): void {
    Atomics.store(this.#queue, Queue.news, 0); // before looking: pairs with tell_news in core/completion.cc
    this.#lookAtPeers();
    this.#lookAtRoom();
  }

  /** A send of this thread did not leave at once. Asks to be told of the end of the wait if somebody wants to know. */
  sendPending(): void {
    if (this.#queue[Queue.hearsOfRoom] === 0) {
      if (!this.#isBackpressureHeard()) return;
      Atomics.store(this.#queue, Queue.hearsOfRoom, 1); // before looking: pairs with count_held_up in core/send.cc
    }
    this.#lookAtRoom();
  }

  #lookAtPeers(): void {
    const told = this.#told;
    if (!told) return;
    const found = new Uint8Array(told.length);
    this.#native.endings(found);
    for (const [rank, ending] of found.entries()) {
      if (ending === told[rank]) continue;
      told[rank] = ending;
      this.#tellOf(rank, ending);
    }
  }

  #tellOf(rank: number, ending: number): void {
    if (ending === Ending.closed) {
      debug("rank %d: rank %d has left the world", this.#rank, rank);
      publish("carillon:peer.closed", () => ({ rank }));
      return;
    }
    const isProtocol = ending === Ending.protocol;
    const reason = isProtocol ? "wrote what no Carillon writes; the connection to it is over" : "has died";
    const code = isProtocol ? "ERR_CARILLON_PEER_PROTOCOL" : "ERR_CARILLON_PEER_LOST";
    debug("rank %d: rank %d %s", this.#rank, rank, reason);
    publish("carillon:peer.lost", () => ({ rank, code, reason }));
  }

  #lookAtRoom(): void {
    if (!this.#told || this.#queue[Queue.hearsOfRoom] === 0) return;
    const waiting = Atomics.load(this.#queue, Queue.heldUp);
    const since = this.#heldUpSince;
    if (waiting > 0 && since === undefined) {
      this.#heldUpSince = performance.now();
      debug("rank %d: back-pressure on, sends that wait: %d", this.#rank, waiting);
      publish("carillon:backpressure.on", () => ({ waiting }));
    } else if (waiting === 0 && since !== undefined) {
      this.#heldUpSince = undefined;
      const duration = performance.now() - since;
      debug("rank %d: back-pressure off after %d ms", this.#rank, Math.round(duration));
      publish("carillon:backpressure.off", () => ({ duration }));
      if (!this.#isBackpressureHeard()) Atomics.store(this.#queue, Queue.hearsOfRoom, 0);
    }
  }

  /** Of each send that does not leave at once. */
  #isBackpressureHeard(): boolean {
    return this.#on.hasSubscribers || this.#off.hasSubscribers || this.#logs;
  }
}
