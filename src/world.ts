// The world: joining it, leaving it, and what keeps a process alive meanwhile.
// Not responsible for messages (communicator.ts) nor for starting ranks (launch.ts, launcher/).
import { inspect } from "node:util";
import { isMainThread } from "node:worker_threads";
import { Communicator } from "./communicator.js";
import { CarillonError } from "./errors.js";
import { debug } from "./events.js";
import { allocate, type Lease, type LeaseType } from "./lease.js";
import { native, Refusal } from "./native.js";
import { type Settings, settingsFrom } from "./settings.js";
import { keepStacks } from "./stacks.js";
import { snapshot, type WorldStats } from "./stats.js";
import { type JoinRefused, Thread } from "./thread.js";
import type { Recording } from "./trace/index.js";

/** All but `wait` and `stacks` hold for the whole process, as the first of its threads to join has chosen them. */
export type JoinOptions = Settings;

/** Where a rank meets the others. */
interface Meeting {
  /** Empty: alone. */
  readonly address: string;
  readonly rank: number;
  readonly size: number;
}

/** @internal */
export interface JoinAsOptions extends Meeting, JoinOptions {
  /** Called once when this thread has left the world. */
  onLeft?: () => void;
  /** Where the launcher has the buffer of its own rank. */
  traceBuffer?: string | undefined;
}

/** Whether this thread is in a world or on its way into one. */
let occupied = false;
let thread: Thread | undefined;
let hasJoined = false;
/** While a timeline is recorded. */
let recording: Recording | undefined;
/** Writes the timeline of a world that has no launcher to do it, or whose launcher this process is. */
let writeTrace: (() => void) | undefined;
let writesWhenLeft = false;

/** @internal What to do with the timeline if this process ends before it is written. */
export function onExitWrite(write: (() => void) | undefined): void {
  writeTrace = write;
  writesWhenLeft = false;
}

/** @internal This thread's side of the engine, in whatever world or none. */
export function attached(): Thread {
  thread ??= new Thread();
  return thread;
}

// A process that ends properly says so, and what it sent stays receivable; one that fails counts as lost. Heard from the
// import on: a worker may have joined although the main thread has not, and is ended after this.
if (isMainThread) {
  process.on("exit", (code) => {
    recording?.end();
    writeTrace?.();
    if (code === 0 && hasJoined) native().goodbye();
    if (code === 0) return;
    try {
      native().abandon();
    } catch {
      // It cannot be loaded: nobody has joined.
    }
  });
}

let construct: (thread: Thread, meeting: Meeting, onLeft: (() => void) | undefined) => World;

/**
 * All ranks of a job, and this thread's handle on its own: a `Communicator` of everybody, with what only the whole has. Made by
 * `World.join` or `launch`. A process is one rank of one world; each of its threads may join once, for a handle of its own.
 */
export class World extends Communicator {
  readonly #onLeft: (() => void) | undefined;
  readonly #doorbell = native().doorbell() ?? "";
  #closing: Promise<void> | undefined;
  /** The counters as this thread left them. */
  #lastStats: WorldStats | undefined;

  private constructor(thread: Thread, { rank, size }: Meeting, onLeft: (() => void) | undefined) {
    super(rank, size, thread);
    this.#onLeft = onLeft;
  }

  static {
    construct = (thread, meeting, onLeft) => new World(thread, meeting, onLeft);
  }

  /**
   * Joins the world this process was launched into (`carillon run`, `launch`); resolves when every rank has. Without a
   * launcher: a world of one. In a worker thread: another handle on the same rank.
   *
   * Rejects with ERR_CARILLON_ALREADY_JOINED, _ENVIRONMENT, _RANK_TAKEN, _JOIN_FAILED, _CLOSED (this process has left its world),
   * _INVALID_ARGUMENT, _DOORBELL_UNAVAILABLE, _UNSUPPORTED_PLATFORM or _NATIVE_MISSING.
   */
  static async join(options: JoinOptions = {}): Promise<World> {
    const existing = native().joined();
    return joinAs({ ...(existing ? { address: "", ...existing } : meetingFromEnvironment()), ...options });
  }

  /** How other ranks make this one look: "eventfd", "signal", … (see Settings.doorbell). */
  get doorbell(): string {
    return this.#doorbell;
  }

  /** Whether this thread has closed the world. */
  get closed(): boolean {
    return this.thread === undefined;
  }

  /**
   * Leaves the world: waits up to `timeout` ms (default 5,000) for sends to be taken, and for what is just being received, then rejects
   * what is outstanding in this thread with ERR_CARILLON_CLOSED. The rank leaves when the last of its threads has closed.
   */
  close({ timeout = 5000 }: { timeout?: number } = {}): Promise<void> {
    if (typeof timeout !== "number" || !(timeout >= 0)) {
      const message = `close: timeout must be a number of milliseconds, not ${String(timeout)}`;
      return Promise.reject(new CarillonError("ERR_CARILLON_INVALID_ARGUMENT", message));
    }
    this.#closing ??= this.#close(Math.min(timeout, 2 ** 31 - 1));
    return this.#closing;
  }

  /**
   * Ends every rank of the job at once, whatever it does, this process with exit code `code` (1 to 255) and from any of its
   * threads. Nothing more is written or cleaned up. Under `launch` the parent program lives on unless it aborts itself: to it the
   * others are lost.
   * @throws CarillonError ERR_CARILLON_INVALID_ARGUMENT
   */
  abort(code = 1): never {
    if (!Number.isInteger(code) || code < 1 || code > 255) {
      const message = `abort: code must be a whole number from 1 to 255, not ${String(code)}`;
      throw new CarillonError("ERR_CARILLON_INVALID_ARGUMENT", message);
    }
    return native().abort(code);
  }

  async #close(timeout: number): Promise<void> {
    const open = this.thread as Thread;
    this.thread = undefined;
    debug("rank %d: closes, with up to %d ms for sends that are outstanding", this.rank, timeout);
    const begin = performance.now();
    await open.flush(timeout);
    const left = timeout - (performance.now() - begin);
    if (left > 0) await open.withdraw(left);
    this.#lastStats = snapshot();
    leave(open);
    occupied = false;
    this.#onLeft?.();
  }

  /**
   * Memory that peers can map: sending the lease hands it over in a time that does not depend on its size. `length` elements of
   * `type` (default bytes) of whatever content: zeros, or what an earlier lease of this rank left. Views of it may be sent and
   * received into like any memory; native code writes to it directly.
   * @throws CarillonError ERR_CARILLON_INVALID_ARGUMENT, _OUT_OF_MEMORY, _CLOSED
   */
  allocate(length: number): Lease<Uint8Array<ArrayBuffer>>;
  allocate<T extends ArrayBufferView>(length: number, type: LeaseType<T>): Lease<T>;
  allocate(length: number, type: LeaseType<ArrayBufferView> = Uint8Array): Lease<ArrayBufferView> {
    if (!this.thread) throw new CarillonError("ERR_CARILLON_CLOSED", "allocate: the world was closed");
    return allocate(length, type);
  }

  /** Outstanding requests of this thread keep the process alive (the default). */
  ref(): this {
    native().referenceAll(true);
    return this;
  }

  /** The process may end although requests of this thread are outstanding. */
  unref(): this {
    native().referenceAll(false);
    return this;
  }

  /**
   * Counters of this rank and thread: messages, bytes, rings, waits, what is outstanding. A snapshot takes microseconds and holds up
   * nobody. After `close`: as they were then.
   */
  stats(): WorldStats {
    return this.#lastStats ?? snapshot();
  }

  /** `await using world = await World.join()` closes it at the end of its scope, as `close()` does. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @internal One line for `console.log` and `util.inspect`. */
  override [inspect.custom](): string {
    return `World { rank: ${this.rank}, size: ${this.size}${this.closed ? ", closed" : ""} }`;
  }
}

/** @internal Joins as a given rank. */
export async function joinAs(options: JoinAsOptions): Promise<World> {
  const { address, rank, size, onLeft } = options;
  const settings = settingsFrom(options, "World.join: ");
  const binding = native();
  if (occupied) {
    throw new CarillonError(
      "ERR_CARILLON_ALREADY_JOINED",
      "World.join: this thread has joined already; pass its World on, or close it first",
    );
  }
  if (binding.left()) {
    throw new CarillonError(
      "ERR_CARILLON_CLOSED",
      "World.join: this process has left its world and cannot join it again",
    );
  }
  const first = !binding.joined();
  if (first) checkDoorbell(settings.doorbell);
  occupied = true;
  try {
    if (options.traceBuffer ?? process.env.CARILLON_TRACE) await prepareRecording(options, first);
    attached().waitAdaptively(settings.wait === "adaptive");
    keepStacks(settings.stacks);
    debug("rank %d of %d: joins %s, settings %j", rank, size, address || "(no launcher)", settings);
    await attached().join(address, rank, size, settings);
  } catch (reason) {
    if (thread) leave(thread);
    occupied = false;
    throw reason instanceof Error ? reason : refused(reason as JoinRefused, options);
  }
  hasJoined = true;
  const world = construct(attached(), { address, rank, size }, onLeft);
  attached().observer.begin(rank, size);
  if (binding.traced()) recording = new (await import("./trace/index.js")).Recording();
  return world;
}

/** @throws CarillonError ERR_CARILLON_TRACE_FAILED, ERR_CARILLON_ENVIRONMENT */
async function prepareRecording({ address, traceBuffer }: JoinAsOptions, first: boolean): Promise<void> {
  const { bufferOfRank, openRecording, traceWish, writeTimeline } = await import("./trace/index.js");
  if (traceBuffer !== undefined) return traceBuffer ? openRecording(undefined, traceBuffer) : undefined;
  if (address) return openRecording(undefined, bufferOfRank(process.env));
  if (!first && native().ownTraceBuffer() < 0) return; // another thread has joined, by a launcher or before anything was asked for
  const wish = traceWish(process.env);
  if (first) openRecording(wish, "");
  writesWhenLeft = true;
  writeTrace = () => {
    writeTrace = undefined;
    for (const note of writeTimeline(wish, [native().ownTraceBuffer()])) process.stderr.write(`carillon: ${note}\n`);
  };
}

/** This thread leaves; the last one of a world without a launcher writes its timeline. */
function leave(open: Thread): void {
  recording?.end();
  recording = undefined;
  open.leave();
  if (writesWhenLeft && !native().joined()) writeTrace?.();
}

/** @throws CarillonError ERR_CARILLON_DOORBELL_UNAVAILABLE */
function checkDoorbell(name: Required<Settings>["doorbell"]): void {
  if (name === "auto" || name === "eventfd") return;
  const { available, detail } = native()
    .doorbells()
    .find((each) => each.name === name) ?? { available: false, detail: "this version does not have it" };
  if (available) return;
  const message = `the doorbell ${JSON.stringify(name)} does not work here: ${detail}; \`carillon info\` shows which do`;
  throw new CarillonError("ERR_CARILLON_DOORBELL_UNAVAILABLE", message);
}

function meetingFromEnvironment(): Meeting {
  const { CARILLON_JOB: job, CARILLON_RANK: rank, CARILLON_SIZE: size } = process.env;
  if (job === undefined && rank === undefined && size === undefined) return { address: "", rank: 0, size: 1 };
  const given = `CARILLON_JOB=${job ?? "(unset)"} CARILLON_RANK=${rank ?? "(unset)"} CARILLON_SIZE=${size ?? "(unset)"}`;
  const environment = (what: string) =>
    new CarillonError(
      "ERR_CARILLON_ENVIRONMENT",
      `${what} (${given}); start the program with \`carillon run\`, or unset all three for a world of one`,
    );
  if (job === undefined || rank === undefined || size === undefined) {
    throw environment("the launcher's environment is incomplete");
  }
  if (!/^\d{1,9}$/.test(size) || Number(size) < 1 || Number(size) > native().maxRanks) {
    throw environment(`CARILLON_SIZE must be an integer from 1 to ${native().maxRanks}`);
  }
  if (!/^\d{1,9}$/.test(rank) || Number(rank) >= Number(size)) {
    throw environment(`CARILLON_RANK must be an integer from 0 to ${Number(size) - 1}`);
  }
  if (!/^[\w.-]{1,100}$/.test(job)) throw environment("CARILLON_JOB is no launcher's address");
  return { address: job, rank: Number(rank), size: Number(size) };
}

function refused({ refusal, rank, code, signal }: JoinRefused, meeting: Meeting): CarillonError {
  const failed = (what: string, details = {}) =>
    new CarillonError("ERR_CARILLON_JOIN_FAILED", `the world could not form: ${what}`, details);
  switch (refusal) {
    case Refusal.hubGone:
      return failed(`no launcher answers at ${meeting.address} (has it ended?)`);
    case Refusal.notOurUser:
      return failed("the launcher belongs to another user");
    case Refusal.wrongVersion:
      return failed("the launcher is of another version of Carillon");
    case Refusal.badRank:
      return new CarillonError(
        "ERR_CARILLON_ENVIRONMENT",
        `the launcher has no rank ${meeting.rank} of ${meeting.size}; it must have been started for another job`,
        { rank: meeting.rank },
      );
    case Refusal.rankTaken:
      return new CarillonError(
        "ERR_CARILLON_RANK_TAKEN",
        `another process has joined as rank ${meeting.rank}; a child process inherits CARILLON_* from its parent: unset them there, or use worker threads, which share their process's rank`,
        { rank: meeting.rank },
      );
    case Refusal.rankEnded: {
      const how = signal > 0 ? ` (killed by signal ${signal})` : code >= 0 ? ` (exit code ${code})` : "";
      return failed(`rank ${rank} ended${how} before it joined`, { rank });
    }
    case Refusal.noResources:
      return failed("out of descriptors or memory");
    default:
      return failed("the launcher's answer was not understood");
  }
}
