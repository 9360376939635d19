// Communicators: point to point with the checks of what a user passed, collectives by name, and parts of a communicator.
// World extends it. Not responsible for how requests complete (thread.ts), what values become (value.ts), how collectives
// work (collectives/) nor how context numbers are agreed on (contexts.ts).
import { inspect } from "node:util";
import { Absences, Roll, type Withdraw } from "./absences.js";
import {
  checkIsSignal,
  checkRank,
  checkSignal,
  checkSize,
  checkTag,
  MOST_TAG,
  memoryOf,
  ringBytes,
  wrong,
} from "./arguments.js";
import { markedEncoding, type Port } from "./collectives/collective.js";
import { Collectives } from "./collectives/index.js";
import { Contexts, collectiveContext, type Part, userContext } from "./contexts.js";
import { CarillonError } from "./errors.js";
import { described, explained } from "./failures.js";
import { Group } from "./group.js";
import { Lease } from "./lease.js";
import type { Message } from "./message.js";
import { Call, native, SendFlag } from "./native.js";
import type { Offer } from "./offer.js";
import {
  type AllreduceOptions,
  ANY_SOURCE,
  ANY_TAG,
  type CollectiveOptions,
  type MessagesOptions,
  type ProbeOptions,
  type RecvOptions,
  type ReduceOptions,
  type RootedOptions,
  type SendOptions,
  type SendrecvOptions,
  type UncheckedReduceOptions,
} from "./options.js";
import { MessageQueue, type QueueOptions, queueMemory } from "./queue.js";
import { type Operation, Request } from "./request.js";
import { type MessageStream, messageStream } from "./stream.js";
import { RING_BYTES, type Taker, type TakerOptions } from "./taker.js";
import type { Thread } from "./thread.js";
import { shortKind, type TypedArray } from "./value/kinds.js";
import { type Encoded, encode } from "./value.js";

/** What the communicators of one thread share. */
interface Shared {
  /** Undefined once this thread has closed the world. */
  thread: Thread | undefined;
  readonly contexts: Contexts;
  readonly absences: Absences;
}

/** A tag in the world's collective context that nobody ever sends with. */
const NEVER_SENT = MOST_TAG - 1;

/**
 * A group of ranks that exchange messages among themselves: the world, or a part of it. Messages of one are never received in
 * another. Its ranks count from 0, in options, messages and errors alike.
 *
 * Collectives are called by every member, in the same order; several may be in flight. They reject with
 * ERR_CARILLON_PEER_LOST or _PEER_CLOSED when a member is gone that one of them depended on, and so do all that follow; with
 * ERR_CARILLON_COLLECTIVE_MISMATCH when members do not call the same; with ERR_CARILLON_COLLECTIVE_FAILED when another member
 * failed (a wrong argument, its signal; that one rejects with its own reason); with _CLOSED, _DATA_CLONE or the signal's reason.
 * A rank that had its result already keeps it. On the world, collectives, `dup` and `split` belong to the first thread of a rank
 * that calls one: in others they reject with ERR_CARILLON_OTHER_THREAD. A value or array that is passed may not change until the
 * promise settles; one's own part of a result is what one passed, no copy.
 */
export class Communicator {
  /** This process's number in the communicator, 0 to size - 1. */
  readonly rank: number;
  /** How many ranks the communicator has. */
  readonly size: number;
  /** @internal Undefined: the world's ranks are this one's. */
  readonly group: Group | undefined;
  readonly #context: number;
  readonly #shared: Shared;
  readonly #number: number;
  #freed = false;
  #collectives: Collectives | undefined;
  #roll: Roll | undefined;

  /** @internal A part of the world, or the world itself: no part, but a thread. */
  constructor(rank: number, size: number, from: Thread | { parent: Communicator; number: number; group: Group }) {
    this.rank = rank;
    this.size = size;
    if ("parent" in from) {
      this.group = from.group;
      this.#number = from.number;
      this.#shared = from.parent.#shared;
    } else {
      this.#number = 0;
      this.#shared = {
        thread: from,
        contexts: new Contexts(rank, native().maxRanks),
        absences: new Absences((other) =>
          from.recv(other, NEVER_SENT, this, collectiveContext(0), undefined, undefined),
        ),
      };
    }
    this.#context = userContext(this.#number);
  }

  /** @internal Undefined once this thread has closed the world. */
  protected get thread(): Thread | undefined {
    return this.#shared.thread;
  }

  /** @internal */
  protected set thread(thread: Thread | undefined) {
    this.#shared.thread = thread;
  }

  /**
   * Sends any structured-clonable value; a view, or an array of views gathered into one message, as the bytes it covers.
   * What is sent may not change until the request settles: at once for messages up to 16,000 bytes while the receiver keeps up,
   * when the receiver has taken the body for larger ones. A lease is handed over: it is detached here, whatever becomes of the
   * request, unless this rejects because of an argument.
   *
   * Rejects with ERR_CARILLON_INVALID_RANK, _INVALID_TAG, _INVALID_ARGUMENT, _DATA_CLONE, _INVALID_BUFFER, _BUFFER_DETACHED,
   * _LEASE_RELEASED, _LEASE_IN_USE, _CLOSED, _PEER_CLOSED, _PEER_LOST, or the signal's reason.
   */
  send(value: unknown, options: SendOptions): Request<void> {
    const { dest, tag = 0, synchronous = false, signal } = options ?? {};
    try {
      const thread = this.#open(undefined, signal);
      checkRank(dest, "dest", this.size, false);
      checkTag(tag, false);
      const kind = shortKind(value, Call.inlineBytes);
      if (kind >= 0) {
        const flags = synchronous ? SendFlag.synchronous : 0;
        return thread.sendShort(dest, tag, this.#context, kind, value as TypedArray, flags, signal, this.group);
      }
      if (value instanceof Lease) {
        return thread.sendLease(dest, tag, this.#context, synchronous, value, signal, this.group);
      }
      const encoded = encode(value);
      return this.#post(thread, dest, tag, this.#context, encoded, encoded.encoding, synchronous, signal);
    } catch (error) {
      return new Request<void>({ name: "send", peer: dest, tag }).fail(explained(error, "send", dest, tag));
    }
  }

  #post(
    thread: Thread,
    dest: number,
    tag: number,
    context: number,
    { payload, owned, shared }: Encoded,
    encoding: number,
    synchronous: boolean,
    signal: AbortSignal | undefined,
  ): Request<void> {
    const parts = checkSize(payload);
    const flags =
      (synchronous ? SendFlag.synchronous : 0) | (owned || shared || parts !== payload ? SendFlag.stable : 0);
    return thread.send(dest, tag, context, encoding, flags, parts, signal, this.group);
  }

  /**
   * Receives one message. Of several waiting receives that match, the one posted first takes it, over all threads of the rank.
   *
   * Rejects with ERR_CARILLON_INVALID_RANK, _INVALID_TAG, _INVALID_ARGUMENT, _TRUNCATED, _CANCELLED, _CLOSED, _PEER_CLOSED,
   * _PEER_LOST, _INVALID_BUFFER, _BUFFER_DETACHED, or the signal's reason.
   */
  recv<T = unknown>(options: RecvOptions = {}): Request<Message<T>> {
    const { source = ANY_SOURCE, tag = ANY_TAG, into, signal } = options ?? {};
    try {
      const thread = this.#open(undefined, signal);
      checkRank(source, "source", this.size, true);
      checkTag(tag, true);
      const request = thread.recv<T>(source, tag, this, this.#context, memoryOf(into), signal);
      if (source === ANY_SOURCE && this.group && request.state === "pending") {
        this.#await("recv", tag, this.group, request, (reason) => request.withdraw(reason));
      }
      return request;
    } catch (error) {
      return new Request<Message<T>>({ name: "recv", peer: source, tag }).fail(explained(error, "recv", source, tag));
    }
  }

  /**
   * All messages that no receive or probe waits for, in order, as an RxJS Observable that is an async iterable, too, and has
   * `toReadable()`. Nothing is taken before somebody subscribes, iterates or reads. Loads RxJS.
   * @throws CarillonError ERR_CARILLON_INVALID_RANK, _INVALID_TAG, _INVALID_ARGUMENT or _CLOSED
   */
  messages<T = unknown>(options: MessagesOptions = {}): MessageStream<T> {
    const { source = ANY_SOURCE, tag = ANY_TAG, byteCapacity: asked = RING_BYTES, signal } = options ?? {};
    this.#open("messages", undefined);
    checkRank(source, "source", this.size, true);
    checkTag(tag, true);
    checkIsSignal(signal);
    const byteCapacity = ringBytes(asked);
    return messageStream<T>((handlers) => this.take({ ...handlers, source, tag, byteCapacity }), signal);
  }

  /**
   * @internal A standing taker: every message that no receive waits for, in order, to a callback. What streams are made of.
   * @throws CarillonError ERR_CARILLON_INVALID_RANK, _INVALID_TAG or _CLOSED
   */
  take(options: Partial<TakerOptions> & Pick<TakerOptions, "ended">): Taker {
    const { source = ANY_SOURCE, tag = ANY_TAG } = options;
    const thread = this.#open("messages", undefined);
    checkRank(source, "source", this.size, true);
    checkTag(tag, true);
    const taker = thread.take(this, this.#context, { ...options, source, tag });
    if (source === ANY_SOURCE && this.group) {
      this.#await("messages", tag, this.group, taker.over, (reason) => taker.withdraw(reason));
    }
    return taker;
  }

  /**
   * A queue in shared memory that native code fills with every message that no receive waits for, in order, and that any threads of
   * this process empty, whether they have joined or not (`MessageQueue.from(queue.buffer)`), each message going to one of them. While it
   * is full, its senders wait. It ends with `queue.close()`, this thread, the world, or when nobody is left who could send.
   * @throws CarillonError ERR_CARILLON_INVALID_RANK, _INVALID_TAG, _INVALID_ARGUMENT or _CLOSED
   */
  queue<T = unknown>(options: QueueOptions = {}): MessageQueue<T> {
    const { source = ANY_SOURCE, tag = ANY_TAG, byteCapacity } = options ?? {};
    const thread = this.#open("queue", undefined);
    checkRank(source, "source", this.size, true);
    checkTag(tag, true);
    const { group } = this;
    const members = group ? Array.from({ length: this.size }, (_, rank) => group.worldRank(rank)) : [];
    const words = queueMemory(byteCapacity, members);
    const owner = thread.queue(this, this.#context, source, tag, words);
    if (source === ANY_SOURCE && group) this.#await("queue", tag, group, owner.over, () => owner.close());
    return new MessageQueue<T>(words.buffer as SharedArrayBuffer, owner);
  }

  /**
   * A matched probe: takes one message as `recv` does, in the same line, but not its bytes yet. The offer says what it is; it is
   * received, or given back to its place in line. Settles with the offer.
   *
   * Rejects with ERR_CARILLON_INVALID_RANK, _INVALID_TAG, _INVALID_ARGUMENT, _CANCELLED, _CLOSED, _PEER_CLOSED, _PEER_LOST, or the
   * signal's reason.
   */
  mprobe<T = unknown>(options: ProbeOptions & { signal?: AbortSignal | undefined } = {}): Request<Offer<T>> {
    const { source = ANY_SOURCE, tag = ANY_TAG, signal } = options ?? {};
    try {
      const thread = this.#open(undefined, signal);
      checkRank(source, "source", this.size, true);
      checkTag(tag, true);
      return thread.mprobe(source, tag, this, this.#context, signal);
    } catch (error) {
      return new Request<Offer<T>>({ name: "mprobe", peer: source, tag }).fail(explained(error, "mprobe", source, tag));
    }
  }

  /**
   * A matched probe that does not wait: an offer of what is here now, or null.
   * @throws CarillonError ERR_CARILLON_INVALID_RANK, _INVALID_TAG or _CLOSED
   */
  tryMprobe<T = unknown>(options: ProbeOptions = {}): Offer<T> | null {
    const { source = ANY_SOURCE, tag = ANY_TAG } = options ?? {};
    try {
      const thread = this.#open(undefined, undefined);
      checkRank(source, "source", this.size, true);
      checkTag(tag, true);
      return thread.tryMprobe(source, tag, this, this.#context);
    } catch (error) {
      throw explained(error, "tryMprobe", source, tag);
    }
  }

  /**
   * Sends and receives at the same time: no two ranks that exchange wait for each other, however large the messages are.
   * Rejects as `send` and `recv` do, once neither uses the caller's memory any more: when one fails, the other is taken back.
   */
  async sendrecv<T = unknown>(value: unknown, options: SendrecvOptions): Promise<Message<T>> {
    const { dest, source = dest, tag = 0, recvTag = tag, into, signal } = options ?? {};
    const receive = this.recv<T>({ source, tag: recvTag, signal, ...(into !== undefined && { into }) });
    if (receive.state === "rejected") return receive; // nothing is sent for an answer that cannot come
    const send = this.send(value, { dest, tag, signal });
    try {
      const [message] = await Promise.all([receive, send]);
      return message;
    } catch (reason) {
      receive.cancel();
      send.cancel();
      await Promise.allSettled([receive, send]);
      throw reason;
    }
  }

  /** Settles when every rank has called it. */
  async barrier({ signal }: CollectiveOptions = {}): Promise<void> {
    return this.#together("barrier").barrier(signal);
  }

  /** Resolves with the root's `value` on every rank; what others pass is ignored. */
  async broadcast<T>(value: T | undefined, { root = 0, signal }: RootedOptions = {}): Promise<T> {
    return this.#together("broadcast").broadcast(value, root, signal) as Promise<T>;
  }

  /** Resolves at the root with an array of what each rank passed, by rank; undefined elsewhere. */
  async gather<T>(value: T, { root = 0, signal }: RootedOptions = {}): Promise<T[] | undefined> {
    return this.#together("gather").gather(value, root, signal) as Promise<T[] | undefined>;
  }

  /** Resolves on each rank with its own of the `values` that the root passes, one for each rank; what others pass is ignored. */
  async scatter<T>(values: readonly T[] | undefined, { root = 0, signal }: RootedOptions = {}): Promise<T> {
    return this.#together("scatter").scatter(values, root, signal) as Promise<T>;
  }

  /** Resolves on every rank with an array of what each rank passed, by rank. */
  async allgather<T>(value: T, { signal }: CollectiveOptions = {}): Promise<T[]> {
    return this.#together("allgather").allgather(value, signal) as Promise<T[]>;
  }

  /** `values` has one for each rank; resolves with what each rank had for this one, by rank. */
  async alltoall<T>(values: readonly T[], { signal }: CollectiveOptions = {}): Promise<T[]> {
    return this.#together("alltoall").alltoall(values, signal) as Promise<T[]>;
  }

  /**
   * Combines what all ranks pass; resolves at the root with the result, elsewhere with undefined. Typed arrays, of one type and
   * length, combine element by element, numbers and bigints as they are; with a function as `op` any other value too.
   * Operands keep the order of ranks, and which are combined first depends on `size` only: the result has the same bits in
   * every run, whoever the root is, and those of `allreduce`.
   */
  reduce(data: number, options: ReduceOptions<number>): Promise<number | undefined>;
  reduce(data: bigint, options: ReduceOptions<bigint>): Promise<bigint | undefined>;
  reduce<T>(data: T, options: ReduceOptions<T>): Promise<T | undefined>;
  async reduce(data: unknown, options: UncheckedReduceOptions): Promise<unknown> {
    const { op, root = 0, into, signal } = options ?? {};
    return this.#together("reduce").reduce(data, op, root, into, signal);
  }

  /** As `reduce`, with the result on every rank: the same bits on each. */
  allreduce(data: number, options: AllreduceOptions<number>): Promise<number>;
  allreduce(data: bigint, options: AllreduceOptions<bigint>): Promise<bigint>;
  allreduce<T>(data: T, options: AllreduceOptions<T>): Promise<T>;
  async allreduce(data: unknown, options: UncheckedReduceOptions): Promise<unknown> {
    const { op, into, signal } = options ?? {};
    return this.#together("allreduce").allreduce(data, op, into, signal);
  }

  /** A communicator of the same ranks whose messages are apart from this one's. A collective. */
  async dup(): Promise<Communicator> {
    const part = await this.#together("dup").dup(this.#shared.contexts);
    return this.#part(part as Part);
  }

  /**
   * A communicator of all ranks that pass the same `color`, a whole number, ordered by `key` (default 0), then by rank here; null
   * without a color. A collective.
   */
  async split({ color, key = 0 }: { color?: number | null | undefined; key?: number }): Promise<Communicator | null> {
    const part = await this.#together("split").split(this.#shared.contexts, color, key);
    return part ? this.#part(part) : null;
  }

  /**
   * This rank is done with this communicator: what is asked of it from now on rejects with ERR_CARILLON_CLOSED, what is
   * outstanding goes on. Not a collective. The world is not freed but closed, which ends all its parts.
   * @throws CarillonError ERR_CARILLON_INVALID_ARGUMENT
   */
  free(): void {
    if (!this.group) throw wrong("free: what is freed", "a part of the world (close the world instead)", "the world");
    this.#freed = true;
  }

  #part({ number, members }: Part): Communicator {
    const { group } = this;
    const worldRanks = group ? members.map((rank) => group.worldRank(rank)) : members;
    const from = { parent: this, number, group: new Group(worldRanks) };
    return new Communicator(members.indexOf(this.rank), members.length, from);
  }

  #together(what: string): Collectives {
    this.#open(what, undefined);
    if (!this.#collectives) {
      if (!native().claimCollectives()) {
        throw new CarillonError(
          "ERR_CARILLON_OTHER_THREAD",
          `${what}: another thread of this rank has called a collective, dup or split on the world; only that one may`,
        );
      }
      this.#collectives = new Collectives(this.#port());
    }
    return this.#collectives;
  }

  /** The way collectives send and receive: also what was begun before this communicator was freed. */
  #port(): Port {
    const context = collectiveContext(this.#number);
    const thread = () => this.#shared.thread ?? closed(undefined, "the world was closed"); // the collective's name follows
    return {
      rank: this.rank,
      size: this.size,
      send: (dest, tag, encoded, mark) => {
        try {
          const encoding = markedEncoding(encoded.encoding, mark);
          return this.#post(thread(), dest, tag, context, encoded, encoding, false, undefined);
        } catch (error) {
          return new Request<void>({ name: "send", peer: dest, tag }).fail(error);
        }
      },
      recv: (source, tag) => thread().recv(source, tag, this, context, undefined, undefined),
    };
  }

  /** A receive from any source, or what takes from any source, in a part of the world. */
  #await(name: Operation["name"], tag: number, group: Group, over: Promise<unknown>, withdraw: Withdraw): void {
    const others = Array.from({ length: this.size }, (_, rank) => group.worldRank(rank));
    others.splice(this.rank, 1);
    if (others.length === 0) return;
    this.#roll ??= new Roll(this.#shared.absences, others, (operation, last, anyLost) => {
      const code = anyLost ? "ERR_CARILLON_PEER_LOST" : "ERR_CARILLON_PEER_CLOSED";
      const how = anyLost ? "has died or left the world" : "has left the world";
      const { tag } = operation;
      return new CarillonError(code, `${described(operation)}: every other rank of the communicator ${how}`, {
        cause: last,
        ...(tag >= 0 && { tag }),
      });
    });
    this.#roll.add({ name, peer: ANY_SOURCE, tag }, over, withdraw);
  }

  /** `what` begins the error, unless who calls adds more than that. */
  #open(what: string | undefined, signal: AbortSignal | undefined): Thread {
    const { thread } = this.#shared;
    if (!thread || this.#freed) closed(what, thread ? "the communicator was freed" : "the world was closed");
    checkSignal(signal);
    return thread;
  }

  /** @internal One line for `console.log` and `util.inspect`. */
  [inspect.custom](): string {
    if (!(#freed in this)) return "Communicator {}"; // the prototype
    return `Communicator { rank: ${this.rank}, size: ${this.size}${this.#freed || !this.thread ? ", closed" : ""} }`;
  }
}

function closed(what: string | undefined, why: string): never {
  throw new CarillonError("ERR_CARILLON_CLOSED", what === undefined ? why : `${what}: ${why}`);
}
