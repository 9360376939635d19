// The collectives of one communicator in the order they are called, and what members tell each other when one fails.
// Every member starts the same collectives in the same order, so that a count is all it takes to tell them apart, however many
// are in flight. When a member fails, by a peer that died, a wrong argument or its signal, it tells all others: whoever is
// still in that collective, or comes to it later, fails too instead of waiting for what will never come (as MPI's
// user-level failure mitigation revokes; W. Bland et al., "Post-failure recovery of MPI communication capability", 2013).
// When the reason is that a member is gone, that holds for every collective to come: nobody is left waiting in one that those who
// heard of it will not call.
// Not responsible for the messages of a collective (collective.ts).
import { CarillonError, type CarillonErrorCode } from "../errors.js";
import type { Message } from "../message.js";
import type { Request } from "../request.js";
import { encode } from "../value.js";
import { Collective, type CollectiveName, type Port, type Signature } from "./collective.js";

/** Tags count collectives and wrap; the one beyond them is that of notices. */
const COUNTS = 2 ** 31 - 1;
const NOTICE = COUNTS;
const ANY_SOURCE = -1;

/** What others hear under its own code; everything else is ERR_CARILLON_COLLECTIVE_FAILED. */
const SHARED_CODES: ReadonlySet<string> = new Set<CarillonErrorCode>([
  "ERR_CARILLON_PEER_CLOSED",
  "ERR_CARILLON_PEER_LOST",
  "ERR_CARILLON_PEER_PROTOCOL",
  "ERR_CARILLON_COLLECTIVE_MISMATCH",
  "ERR_CARILLON_COLLECTIVE_FAILED",
]);

const GONE = "ERR_CARILLON_PEER_";

/** What went wrong, as one member tells the others. */
interface Notice {
  readonly count: number;
  readonly code: CarillonErrorCode;
  /** The rank that is to blame. */
  readonly rank: number;
  readonly text: string;
}

/** What a collective rejects with, and what the others hear of it. */
class Failure {
  readonly notice: Omit<Notice, "count">;
  readonly #error: unknown;

  /** `error` if there is one already: this rank is the first to know. */
  constructor(notice: Omit<Notice, "count">, error?: unknown) {
    this.notice = notice;
    this.#error = error;
  }

  errorOf(name: CollectiveName): unknown {
    const { code, rank, text } = this.notice;
    const error = this.#error ?? new CarillonError(code, `${name}: ${text}`, { rank });
    return error instanceof CarillonError && !error.message.startsWith(`${name}: `) ? error.during(name) : error;
  }

  /** A member is gone: no collective of all members can complete any more. */
  get isForEver(): boolean {
    return this.notice.code.startsWith(GONE);
  }
}

const nothing = () => {};

/** Why a listener is taken back; nobody sees it. */
const QUIET = new CarillonError("ERR_CARILLON_CANCELLED", "no collective is in flight");

export class Order {
  readonly #port: Port;
  readonly #running = new Map<number, Collective>();
  /** Of collectives that this rank has not called yet. */
  readonly #foretold = new Map<number, Failure>();
  /** Of all that are in flight or to come. */
  #broken: Failure | undefined;
  #count = 0;
  #listener: Request<Message> | undefined;

  constructor(port: Port) {
    this.#port = port;
  }

  /**
   * Calls `run` at once. What it rejects with, the other members hear of; it settles when nothing of it is outstanding.
   */
  async start<T>(
    signature: Signature,
    signal: AbortSignal | undefined,
    run: (collective: Collective) => Promise<T>,
  ): Promise<T> {
    const count = this.#count;
    this.#count = (count + 1) % COUNTS;
    const collective = new Collective(this.#port, signature, count);
    this.#running.set(count, collective);
    const abort = () => collective.fail(signal?.reason);
    try {
      const known = this.#broken ?? this.#foretold.get(count);
      if (known) throw known;
      if (signal !== undefined && !(signal instanceof AbortSignal)) {
        throw new CarillonError(
          "ERR_CARILLON_INVALID_ARGUMENT",
          `signal must be an AbortSignal, not ${String(signal)}`,
        );
      }
      signal?.throwIfAborted();
      signal?.addEventListener("abort", abort, { once: true });
      this.#listen();
      const result = await run(collective);
      await collective.flush();
      return result;
    } catch (reason) {
      const failure = reason instanceof Failure ? reason : this.#explain(reason, collective);
      collective.fail(failure);
      if (failure.isForEver) this.#break(failure, count);
      else this.#tell({ ...failure.notice, count });
      await collective.settled();
      throw failure.errorOf(collective.name);
    } finally {
      if (signal instanceof AbortSignal) signal.removeEventListener("abort", abort);
      this.#running.delete(count);
      this.#foretold.delete(count);
      if (this.#running.size === 0) {
        this.#listener?.withdraw(QUIET);
        this.#listener = undefined;
      }
    }
  }

  #explain(reason: unknown, { name }: Collective): Failure {
    const { rank } = this.#port;
    if (!(reason instanceof CarillonError) || !SHARED_CODES.has(reason.code)) {
      const what = reason instanceof Error ? reason.message : String(reason);
      const code = "ERR_CARILLON_COLLECTIVE_FAILED";
      const isClosed = reason instanceof CarillonError && reason.code === "ERR_CARILLON_CLOSED";
      // A message of the collective was closed upon: of whom and under which number nobody needs to know.
      const own = isClosed ? new CarillonError(reason.code, "the world was closed", { cause: reason }) : reason;
      return new Failure({ code, rank, text: `rank ${rank} failed: ${what}` }, own);
    }
    const { code, message, rank: to = rank } = reason;
    if (!code.startsWith(GONE)) return new Failure({ code, rank: to, text: message.slice(`${name}: `.length) }, reason);
    const text = `rank ${to} ${code === "ERR_CARILLON_PEER_CLOSED" ? "has left the world" : "has died"}`;
    return new Failure({ code, rank: to, text });
  }

  /** Once: what is in flight fails, what is to come will, and all others hear of it. */
  #break(failure: Failure, count: number): void {
    if (this.#broken) return;
    this.#broken = failure;
    for (const running of this.#running.values()) running.fail(failure);
    this.#tell({ ...failure.notice, count });
  }

  /** Best effort: who cannot hear it has gone. */
  #tell(notice: Notice): void {
    const value = encode(JSON.stringify(notice));
    for (let rank = 0; rank < this.#port.size; rank++) {
      if (rank !== this.#port.rank) this.#port.send(rank, NOTICE, value, 0).catch(nothing);
    }
  }

  /** While collectives are in flight. It does not keep the process alive: what the collectives wait for does. */
  #listen(): void {
    if (this.#listener || this.#port.size === 1) return;
    const listener = this.#port.recv(ANY_SOURCE, NOTICE).unref();
    this.#listener = listener;
    listener.then(
      (message) => {
        if (this.#listener === listener) this.#listener = undefined;
        this.#hear(message);
        if (this.#running.size > 0) this.#listen();
      },
      () => {
        // Taken back, or everybody else has gone: what waits for them fails by itself.
        if (this.#listener === listener) this.#listener = undefined;
      },
    );
  }

  #hear(message: Message): void {
    const notice = noticeIn(message);
    if (!notice) return;
    const { count, ...what } = notice;
    const failure = new Failure(what);
    const running = this.#running.get(count);
    const ahead = (count - this.#count + COUNTS) % COUNTS < COUNTS / 2;
    if (failure.isForEver) this.#break(failure, count);
    else if (running) running.fail(failure);
    else if (ahead) this.#foretold.set(count, failure); // else this rank was done with it
  }
}

/** What another process wrote is input. */
function noticeIn(message: Message): Notice | undefined {
  try {
    const { count, code, rank, text } = JSON.parse(message.value as string);
    const sound =
      Number.isInteger(count) && SHARED_CODES.has(code) && Number.isInteger(rank) && typeof text === "string";
    return sound ? { count, code, rank, text } : undefined;
  } catch {
    return undefined;
  }
}
