// This thread's side of the engine: its completion queue and the requests that wait for records in it.
// Responsible for posting to native code and for settling what it completes; not for checking what users pass
// (communicator.ts) nor for joining and leaving (world.ts).
import { isMainThread } from "node:worker_threads";
import type { Communicator } from "./communicator.js";
import { CarillonError } from "./errors.js";
import { explained, failure } from "./failures.js";
import { type Group, rankOf, worldRank } from "./group.js";
import { isLeased, type Lease } from "./lease.js";
import type { Message } from "./message.js";
import { Call, DONE, FAILED, IN_USE, type NativeBinding, native, Queue, RecvFlag, SendFlag, Status } from "./native.js";
import { helpToWakeReaders } from "./notifier.js";
import { Observer } from "./observer.js";
import { type Held, Offer } from "./offer.js";
import type { QueueOwner } from "./queue.js";
import { Records, wide } from "./records.js";
import { Request, type RequestOwner } from "./request.js";
import { ScatterList } from "./scatter.js";
import type { Settings } from "./settings.js";
import { StandingTakers } from "./standing.js";
import type { Taker, TakerOptions } from "./taker.js";
import { bytesOf, kindOf, type TypedArray, type TypedTarget, viewsOfEachKind } from "./value/kinds.js";
import { checkView, contentsOf, Encoding } from "./value.js";

const nothing = () => {};

/** Bytes that a loop copies sooner than `set` does (8 bytes 9 against 14 ns, 64 bytes 58 against 16). */
const SHORTER_IN_A_LOOP = 16;

/** What `send` returns when the message has left already: most of the time, so it is always the same one. */
const SENT = new Request<void>({ name: "send", peer: -1, tag: -1 }).fulfill(undefined);

export interface JoinRefused {
  readonly refusal: number;
  readonly rank: number;
  readonly code: number;
  readonly signal: number;
}

export class Thread implements RequestOwner {
  readonly observer: Observer;
  readonly #native: NativeBinding;
  // The two on the hot path, out of the addon's exports.
  readonly #nativeSend: NativeBinding["send"];
  readonly #nativeRecv: NativeBinding["recv"];
  readonly #queue: Int32Array;
  readonly #inline: Uint8Array;
  /** The body in the call area, for each kind of typed array. */
  readonly #inlineViews: readonly (TypedTarget | undefined)[];
  readonly #records: Records;
  /** By the number of the native request. */
  readonly #pending: (Request<unknown> | undefined)[] = [];
  readonly #standing: StandingTakers;
  #tail = 0;
  #sends = 0;
  #onNoSends: (() => void) | undefined;
  /** What this thread holds ends with its stay in a world. */
  #stay = 0;
  #leaving = false;

  constructor() {
    this.#native = native();
    this.#nativeSend = this.#native.send;
    this.#nativeRecv = this.#native.recv;
    const memory = new SharedArrayBuffer(4 * (Queue.records + Queue.capacity * Queue.recordWords));
    this.#queue = new Int32Array(memory);
    this.#inline = new Uint8Array(memory);
    this.#inlineViews = viewsOfEachKind(memory, 4 * (Queue.call + Call.inline), Call.inlineBytes);
    this.#records = new Records(this.#native, this.#queue);
    this.observer = new Observer(this.#native, this.#queue);
    this.#standing = new StandingTakers(this.#native, this.#queue, {
      call: (peer, tag, context) => this.#call(peer, tag, context),
      drain: () => this.#drain(),
      post: (index, request, memory) => this.#post(index, request, undefined, undefined, memory),
      receiveNext: (source, tag, communicator, alone) =>
        void this.#receive(RecvFlag.next, source, tag, communicator, undefined, undefined, alone),
    });
    this.#native.attach(this.#queue, () => {
      this.#drain();
      if (this.#queue[Queue.news] !== 0) this.observer.look();
      if (this.#queue[Queue.taken] !== 0) this.#standing.read();
    });
    if (isMainThread) helpToWakeReaders();
  }

  /** Whether this thread's event loop may look at the rings for a while before it blocks. */
  waitAdaptively(adaptive: boolean): void {
    this.#native.waitAdaptively(adaptive);
  }

  /** Resolves when the world has formed; rejects with a JoinRefused. */
  join(address: string, rank: number, size: number, settings: Required<Settings>): Promise<void> {
    const request = new Request<void>({ name: "join", peer: rank, tag: -1 });
    const { maxUnexpectedBytes, eagerBytes, rendezvous, doorbell, interrupts } = settings;
    const index = this.#native.join(
      address,
      rank,
      size,
      maxUnexpectedBytes,
      eagerBytes,
      rendezvous !== "ring",
      doorbell,
      interrupts === "progress",
    );
    if (index < 0) {
      const refused: JoinRefused = { refusal: FAILED - index, rank, code: 0, signal: 0 };
      return request.fail(refused);
    }
    this.#post(index, request, undefined, undefined, undefined);
    this.#drain();
    return request;
  }

  send(
    dest: number,
    tag: number,
    context: number,
    encoding: number,
    flags: number,
    payload: ArrayBufferView | readonly ArrayBufferView[],
    signal: AbortSignal | undefined,
    group: Group | undefined,
  ): Request<void> {
    if (payload instanceof Uint8Array && payload.length <= Call.inlineBytes && !(flags & SendFlag.lease)) {
      this.#copyToCall(0, payload);
      return this.#send(dest, tag, context, encoding, flags, undefined, signal, group);
    }
    this.#queue[Queue.call + Call.bytes] = -1;
    return this.#send(dest, tag, context, encoding, flags, payload, signal, group);
  }

  /** A typed array of this kind, of at most Call.inlineBytes bytes, which are copied at once. */
  sendShort(
    dest: number,
    tag: number,
    context: number,
    kind: number,
    view: TypedArray,
    flags: number,
    signal: AbortSignal | undefined,
    group: Group | undefined,
  ): Request<void> {
    this.#copyToCall(kind, view);
    return this.#send(dest, tag, context, Encoding.view + kind, flags, undefined, signal, group);
  }

  #copyToCall(kind: number, view: TypedArray): void {
    const bytes = bytesOf(kind, view);
    this.#queue[Queue.call + Call.bytes] = bytes;
    if (kind === 0 && bytes <= SHORTER_IN_A_LOOP) {
      const inline = this.#inline;
      const start = 4 * (Queue.call + Call.inline);
      for (let i = 0; i < bytes; i++) inline[start + i] = view[i] as number;
    } else {
      (this.#inlineViews[kind] as TypedTarget).set(view);
    }
  }

  /** `payload`: undefined if it is in the call area already. */
  #send(
    dest: number,
    tag: number,
    context: number,
    encoding: number,
    flags: number,
    payload: ArrayBufferView | readonly ArrayBufferView[] | undefined,
    signal: AbortSignal | undefined,
    group: Group | undefined,
  ): Request<void> {
    const queue = this.#queue;
    const peer = worldRank(group, dest);
    this.#call(peer, tag, context);
    queue[Queue.call + Call.encoding] = encoding;
    queue[Queue.call + Call.flags] = flags;
    const index = payload ? this.#nativeSend(payload) : this.#nativeSend();
    if (index === DONE) {
      this.#drain(); // it may have gone to a receive of this thread, which needs no turn of the event loop to hear of it
      return SENT;
    }
    if (index === IN_USE) {
      throw new CarillonError("ERR_CARILLON_LEASE_IN_USE", "requests still read or write the lease's memory");
    }
    const request = new Request<void>({ name: "send", peer: dest, tag, group });
    if (index <= FAILED) return request.fail(failure((FAILED - index) as Status, request, peer, undefined));
    ++this.#sends;
    this.#post(index, request, signal, undefined, payload);
    this.#drain();
    this.observer.sendPending();
    return request;
  }

  /** Hands over a lease: detached here from now on. */
  sendLease(
    dest: number,
    tag: number,
    context: number,
    synchronous: boolean,
    lease: Lease<ArrayBufferView>,
    signal: AbortSignal | undefined,
    group: Group | undefined,
  ): Request<void> {
    const data = lease.memory();
    checkView(data, "the lease");
    const handedOver = data.byteLength > 0; // else there is no memory
    const flags = (synchronous ? SendFlag.synchronous : 0) | (handedOver ? SendFlag.lease : SendFlag.stable);
    const request = this.send(dest, tag, context, Encoding.view + kindOf(data), flags, data, signal, group);
    if (handedOver) lease.sent();
    else lease.release();
    return request;
  }

  recv<T>(
    source: number,
    tag: number,
    communicator: Communicator,
    context: number,
    into: Uint8Array | ScatterList | undefined,
    signal: AbortSignal | undefined,
  ): Request<Message<T>> {
    this.#call(worldRank(communicator.group, source), tag, context);
    return this.#receive(0, source, tag, communicator, into, signal);
  }

  /** Receives what this thread holds, which it does not afterwards. */
  recvHeld<T>(
    { index, source, tag }: Held,
    communicator: Communicator,
    into: Uint8Array | ScatterList | undefined,
    signal: AbortSignal | undefined,
  ): Request<Message<T>> {
    this.#call(worldRank(communicator.group, source), tag, 0);
    this.#queue[Queue.call + Call.held] = index;
    return this.#receive(RecvFlag.held, source, tag, communicator, into, signal);
  }

  mprobe<T>(
    source: number,
    tag: number,
    communicator: Communicator,
    context: number,
    signal: AbortSignal | undefined,
  ): Request<Offer<T>> {
    this.#call(worldRank(communicator.group, source), tag, context);
    this.#queue[Queue.call + Call.bytes] = -1;
    this.#queue[Queue.call + Call.flags] = RecvFlag.envelope;
    const index = this.#nativeRecv();
    const request = new Request<Offer<T>>({ name: "mprobe", peer: source, tag, group: communicator.group });
    this.#post(index, request, signal, communicator, undefined);
    this.#drain();
    return request;
  }

  tryMprobe<T>(source: number, tag: number, communicator: Communicator, context: number): Offer<T> | null {
    const queue = this.#queue;
    this.#call(worldRank(communicator.group, source), tag, context);
    const index = this.#native.tryProbe();
    const offer =
      index === DONE
        ? null
        : new Offer<T>(communicator, {
            thread: this,
            stay: this.#stay,
            index,
            source: rankOf(communicator.group, queue[Queue.call + Call.peer] as number),
            tag: queue[Queue.call + Call.tag] as number,
            encoding: (queue[Queue.call + Call.encoding] as number) >>> 0,
            byteLength: wide(queue, Queue.call + Call.bytesLow),
          });
    this.#drain();
    return offer;
  }

  /** Takes every message that no receive of this rank waits for, until it is stopped or nothing more can come. */
  take(communicator: Communicator, context: number, options: TakerOptions): Taker {
    return this.#standing.take(communicator, context, options);
  }

  /** As `take`, into memory that any thread reads (queue.ts). */
  queue(communicator: Communicator, context: number, source: number, tag: number, words: Int32Array): QueueOwner {
    return this.#standing.queue(communicator, context, source, tag, words);
  }

  /** Whether it has not gone back with everything else when this thread left. */
  holds({ stay }: Held): boolean {
    return stay === this.#stay;
  }

  /** False: it has gone back already, with everything else this thread held. */
  giveBack(held: Held): boolean {
    if (!this.holds(held)) return false;
    this.#native.giveBack(held.index);
    this.#drain();
    return true;
  }

  #receive<T>(
    flags: number,
    source: number,
    tag: number,
    communicator: Communicator,
    into: Uint8Array | ScatterList | undefined,
    signal: AbortSignal | undefined,
    given?: Request<Message<T>>,
  ): Request<Message<T>> {
    const list = into instanceof ScatterList;
    this.#queue[Queue.call + Call.bytes] = -1;
    this.#queue[Queue.call + Call.flags] = list ? flags | RecvFlag.list : flags;
    let index: number;
    if (!into) index = this.#nativeRecv();
    else if (list && into.direct) index = this.#nativeRecv(into.byteLength, into.views);
    else if (!list && (into.buffer instanceof SharedArrayBuffer || isLeased(into.buffer)))
      index = this.#nativeRecv(into.byteLength, into);
    else index = this.#nativeRecv(into.byteLength);
    const request = given ?? new Request<Message<T>>({ name: "recv", peer: source, tag, group: communicator.group });
    if (index === DONE) {
      // Its record is in the call area, where the next call will be; what completed before comes first.
      let message: Message<T> | undefined;
      let reason: unknown;
      try {
        message = this.#records.message(Queue.call, index, communicator, into) as Message<T>;
      } catch (error) {
        reason = explained(error, "recv", source, tag);
      }
      this.#drain();
      return message ? request.fulfill(message) : request.fail(reason);
    }
    this.#post(index, request, signal, communicator, into);
    this.#drain();
    return request;
  }

  #post<T>(
    index: number,
    request: Request<T>,
    signal: AbortSignal | undefined,
    communicator: Communicator | undefined,
    memory: unknown,
  ): void {
    this.#pending[index] = request as Request<unknown>;
    request.post(this, index, signal, communicator, memory);
  }

  #call(peer: number, tag: number, context: number): void {
    const queue = this.#queue;
    queue[Queue.call + Call.peer] = peer;
    queue[Queue.call + Call.tag] = tag;
    queue[Queue.call + Call.context] = context;
  }

  cancel(index: number): boolean {
    const cancelled = this.#native.cancel(index);
    this.#drain();
    return cancelled;
  }

  reference(index: number, keepsAlive: boolean): void {
    this.#native.reference(index, keepsAlive);
  }

  /** Resolves when no send of this thread is outstanding, or after `timeout` ms. */
  flush(timeout: number): Promise<void> {
    if (this.#sends === 0 || timeout === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeout);
      this.#onNoSends = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /**
   * Before it leaves: takes back the receives and queues of this thread and stops its streams, whose messages are for the rank's other threads. Resolves when
   * none is matched and still on its way, for its sender counts it as delivered; or after `timeout` ms.
   */
  async withdraw(timeout: number): Promise<void> {
    this.#leaving = true;
    const ends: Promise<unknown>[] = [];
    for (const taker of this.#standing.takers) ends.push(taker.stop());
    for (const [index, pending] of this.#pending.entries()) {
      const name = pending?.operationName;
      if (!pending || (name !== "recv" && name !== "queue")) continue;
      ends.push(pending.then(nothing, nothing));
      this.#native.cancel(index);
    }
    this.#drain();
    if (ends.length === 0) return;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, timeout);
    });
    await Promise.race([Promise.all(ends), late]);
    clearTimeout(timer);
  }

  /** Gives back this thread's handle; what is outstanding rejects with ERR_CARILLON_CLOSED. */
  leave(): void {
    this.#leaving = true;
    for (const taker of this.#standing.takers) void taker.stop(); // what they have not handed out is for the rank's other threads
    this.observer.end();
    this.#native.leave();
    this.#drain();
    this.#leaving = false;
    ++this.#stay;
  }

  /** Settles everything native code has shown this thread, in one pass. */
  #drain(): void {
    const queue = this.#queue;
    const head = queue[Queue.seen] as number;
    if (head === this.#tail) return;
    while (this.#tail !== head) {
      const record = Queue.records + ((this.#tail >>> 0) % Queue.capacity) * Queue.recordWords;
      this.#tail = (this.#tail + 1) | 0;
      this.#settle(record);
    }
    queue[Queue.tail] = head;
  }

  #settle(record: number): void {
    const queue = this.#queue;
    const index = queue[record + Queue.request] as number;
    const request = this.#pending[index] as Request<unknown>;
    this.#pending[index] = undefined;
    const { communicator } = request;
    const memory = request.giveUpMemory();
    const status = queue[record + Queue.status] as Status;
    if (request.operationName === "send" && --this.#sends === 0) {
      this.#onNoSends?.();
      this.#onNoSends = undefined;
    }
    if (status === Status.ok) {
      if (!communicator) {
        request.fulfill(undefined);
        return;
      }
      if (request.operationName === "mprobe") {
        // What came too late has gone back to its place already.
        if (this.#leaving) request.fail(failure(Status.closed, request, -1, undefined), true);
        else request.fulfill(this.#offer(record, index, communicator));
        return;
      }
      const into = memory as Uint8Array | ScatterList | undefined;
      try {
        request.fulfill(this.#records.message(record, index, communicator, into));
      } catch (error) {
        request.fail(explained(error, "recv", request.operation?.peer, request.operation?.tag));
      }
    } else if (status === Status.refused) {
      const refused: JoinRefused = {
        refusal: queue[record + Queue.detail] as number,
        rank: queue[record + Queue.source] as number,
        code: queue[record + Queue.code] as number,
        signal: queue[record + Queue.signal] as number,
      };
      request.fail(refused);
    } else if (status === Status.cancelled) {
      // Takers are stopped by this thread's leaving, before native code ends everything else as closed.
      request.failCancelled(() => failure(this.#leaving ? Status.closed : status, request, -1, undefined));
    } else {
      const all = wide(queue, record + Queue.bytesLow);
      const encoding = (queue[record + Queue.encoding] as number) >>> 0;
      const bytes = memory instanceof ScatterList ? contentsOf(all, encoding) : all;
      request.fail(failure(status, request, queue[record + Queue.source] as number, bytes), status === Status.closed);
    }
  }

  #offer(record: number, index: number, communicator: Communicator): Offer {
    const queue = this.#queue;
    return new Offer(communicator, {
      thread: this,
      stay: this.#stay,
      index,
      source: rankOf(communicator.group, queue[record + Queue.source] as number),
      tag: queue[record + Queue.tag] as number,
      encoding: (queue[record + Queue.encoding] as number) >>> 0,
      byteLength: wide(queue, record + Queue.bytesLow),
    });
  }
}
