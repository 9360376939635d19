// The native surface, declared once, and the loading of the addon.
// Responsible for the shape of what native/binding exports and for saying clearly why it cannot be loaded; not for the
// idiom (World, Request, Message) built on it. Arguments are validated by the callers: native code asserts only.

import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { CarillonError } from "./errors.js";
import type { WorldStats } from "./stats.js";

/** How an operation ended, as written into completion records and returned by `send` (as `FAILED - status`). */
export const Status = {
  ok: 0,
  truncated: 1,
  cancelled: 2,
  peerClosed: 3,
  peerLost: 4,
  peerProtocol: 5,
  closed: 6,
  /** The kernel refused to read the sender's memory (`process_vm_readv`). */
  unreadable: 7,
  /** The hub refused this rank; `detail` holds the refusal, `source` the rank it speaks of. */
  refused: 8,
  outOfMemory: 9,
  /** Receive of an offer: its sender has taken the message back. */
  takenBack: 10,
} as const;
export type Status = (typeof Status)[keyof typeof Status];

/** How a peer ended: Ending in native/core/engine.h. */
export const Ending = { none: 0, closed: 1, lost: 2, protocol: 3 } as const;

/** Why the hub refused a rank: native/bootstrap/client.h. */
export const Refusal = {
  hubGone: 1,
  notOurUser: 2,
  wrongVersion: 3,
  badRank: 4,
  rankTaken: 5,
  rankEnded: 6,
  protocol: 7,
  noResources: 8,
} as const;

/** `send` returned this: the message has left; `recv`: it was here, its record is in the call area. No completion follows. */
export const DONE = -1;
/** `send` returned this: it did nothing, requests use the lease's memory. */
export const IN_USE = -2;
/** `send` returned `FAILED - status`: it failed at once. */
export const FAILED = -16;

/** What `consign` returned instead of a ticket. */
export const NOT_OURS = -1;
export const CONSIGNMENT_CLOSED = -2;

/** Flags of `send`. */
export const SendFlag = {
  /** Complete when the receiver has matched it. */
  synchronous: 1,
  /** The one view's memory can neither be detached nor collected before the request settles: shared memory, or the caller's own. */
  stable: 2,
  /** The payload is all of a lease: it is detached and handed over. */
  lease: 4,
} as const;

/** Flags of `recv`. */
export const RecvFlag = {
  /** A matched probe: the request holds what it takes until `recv` is called with `held`, or `giveBack`. */
  envelope: 1,
  /** Of what the request in Call.held holds; peer, tag and context are those of the probe. */
  held: 2,
  /** Of what is next for the taker whose request is in Call.held. */
  next: 8,
  /** Into several views: the capacity is for the message's contents (contentsOf in value.ts). */
  list: 4,
} as const;

/** Where the bytes of a completed receive are. */
export const Storage = {
  /** Nothing to fetch: no bytes, or native code wrote them into the shared `into` memory. */
  none: 0,
  /** In the completion record itself. */
  inline: 1,
  /** In native memory: `take` copies them out. */
  block: 2,
  /** In a mapping of its own: `take` copies, `adopt` hands over the memory. */
  stage: 3,
  /** In leased memory that is handed over: `take` copies, `adopt` hands it on. */
  lease: 4,
} as const;

/**
 * Layout of a completion queue, in 32-bit words of a SharedArrayBuffer. Native code writes records and the head, this
 * thread's JavaScript writes the tail, which only native code on this thread reads; both count records since the start and wrap at 2^32.
 */
export const Queue = {
  capacity: 512,
  head: 0,
  tail: 16,
  /** The head as native code saw it last on this very thread: plain reads suffice, and see the records before it. */
  seen: 17,
  /** Not 0: rings of this thread's takers have something. Set by native code, cleared by this thread's JavaScript before it looks. */
  taken: 18,
  /** Not 0: a peer has ended, or `heldUp` has changed. Set by native code, cleared by this thread's JavaScript before it looks. */
  news: 28,
  /** Sends of this thread that wait for room or credit at their peers. Written by native code. */
  heldUp: 29,
  /** Not 0: this thread has news when the first send comes to wait and when none does any more. Written by its JavaScript. */
  hearsOfRoom: 30,
  /** Arguments of the next `send` or `recv`: cheaper to read than a call's own. Written by this thread's JavaScript. */
  call: 32,
  records: 64,
  recordWords: 32,
  request: 0,
  status: 1,
  source: 2,
  tag: 3,
  encoding: 4,
  storage: 5,
  bytesLow: 6,
  bytesHigh: 7,
  detail: 8,
  code: 9,
  signal: 10,
  inline: 16,
  inlineBytes: 64,
} as const;

/** Words of the call area, from Queue.call on. */
export const Call = {
  /** dest, or source (-1: any). */
  peer: 0,
  tag: 1,
  context: 2,
  /** send */
  encoding: 3,
  /** send: SendFlag. recv: RecvFlag. */
  flags: 4,
  /** send: bytes in `inline`, or -1: they are the payload argument's. recv: capacity, or -1: any, or that of `into`. */
  bytes: 5,
  /** recv: with RecvFlag.held or next. */
  held: 6,
  /** Written by `tryProbe`, with peer, tag and encoding. */
  bytesLow: 7,
  bytesHigh: 8,
  inline: 16,
  inlineBytes: 64,
} as const;

/**
 * Layout of a taker's ring, in 32-bit words of a SharedArrayBuffer: records of whole messages, one after the other. Native code writes
 * records, head and behind, the reader how far it has read; both count bytes since the start and wrap at 2^32.
 */
export const Ring = {
  /** Position after the last message; with `closed` added: nothing follows. */
  head: 0,
  closed: 1,
  /** Shared: changes when readers that said they sleep are to look again. */
  event: 1,
  /** Shared: a number of 64 bits. */
  read: 16,
  /** Shared: 1, a reader sleeps or is about to. Set by it after it has read `event`, cleared by native code before that changes. */
  asleep: 18,
  /** Shared: 1, readers have made room. Set by them, cleared by who has the ring fed (workers/notifier.ts). */
  asked: 20,
  /** Behind: why the next message is not in the ring. */
  behind: 32,
  /** Behind.alone in a shared ring: bytes (two words, the low one first), source and tag of the message that does not fit. */
  unfitBytes: 36,
  unfitSource: 38,
  unfitTag: 39,
  /** Closed: a Status, and whom it speaks of. */
  status: 40,
  peer: 41,
  /** Shared, written once before it is used: bytes for records; how many world ranks follow them (Group); that it is such a ring. */
  capacity: 42,
  members: 43,
  magic: 44,
  records: 48,
  /** Words of a record. Its length in bytes; with 1 added: skip as many, to the start of the ring. The body follows the header. */
  length: 0,
  source: 1,
  tag: 2,
  encoding: 3,
  bytes: 4,
  /** Its place in line, in two words: for native code, when it goes back there. */
  arrival: 5,
  headerWords: 8,
} as const;

export const Behind = {
  no: 0,
  /** There was no room: resume it when there is. */
  room: 1,
  /** The next one does not go through the ring: receive it (RecvFlag.next), then resume. Shared: it never fits. */
  alone: 2,
  /** Shared: its body is on its way. */
  bring: 3,
} as const;

/** A launcher's meeting point: native/bootstrap/hub.h. */
export interface NativeHub {
  /** What ranks find in CARILLON_JOB. */
  readonly address: string;
  /** The process started for this rank has ended. */
  ended(rank: number, code: number, signal: number): void;
  /** The rank that aborted the job, or -1. */
  aborter(): number;
  close(): void;
}

export interface Availability {
  readonly name: string;
  readonly available: boolean;
  /** What it is, or why it is not available. */
  readonly detail: string;
}

export interface NativeBinding {
  readonly version: string;
  readonly maxMessageBytes: number;
  readonly maxRanks: number;
  doorbells(): Availability[];
  drivers(): Availability[];
  openHub(size: number): NativeHub;

  /** Makes this thread a citizen: `queue` views a SharedArrayBuffer (see Queue), `drain` empties it. */
  attach(queue: Int32Array, drain: () => void): void;
  waitAdaptively(adaptive: boolean): void;
  /**
   * Starts joining (address "" for a world of one, or when this process has joined already). Returns a
   * request index whose completion says how it went, or FAILED - refusal. The settings are the process's when it
   * has not joined yet: see Settings in settings.ts.
   */
  join(
    address: string,
    rank: number,
    size: number,
    maxUnexpectedBytes: number,
    eagerBytes: number,
    readsPeers: boolean,
    doorbell: string,
    interruptsProgress: boolean,
  ): number;
  /** The kind of doorbell by which this process's rank is rung, or null before it has joined. */
  doorbell(): string | null;
  /** Rank and size of the world this process has joined or is joining, or null. */
  joined(): { rank: number; size: number } | null;
  /** Whether this process has left a launched world: it cannot come back. */
  left(): boolean;
  /**
   * Arguments in the call area. `payload` unless they are inline: a view, or at most 64 views to gather into one message.
   * Returns a request index, DONE, IN_USE or FAILED - status.
   */
  send(payload?: ArrayBufferView | readonly ArrayBufferView[]): number;
  /**
   * Arguments in the call area. `capacity` if it is not that of `into` and does not fit the call area's word. `into` (with
   * RecvFlag.list at most 64 views) only when it views shared or leased memory: native code writes it from any thread. Returns a
   * request index.
   */
  recv(capacity?: number, into?: ArrayBufferView | readonly ArrayBufferView[]): number;
  /**
   * A matched probe that does not wait. Arguments in the call area, and what it found. Returns the index of a request that
   * holds it, or DONE: nothing is there.
   */
  tryProbe(): number;
  /** What a drained probe holds goes back to its place; the request is freed. */
  giveBack(request: number): void;
  /**
   * Begins to take every message that no receive waits for into `ring` (see Ring; a power of two of bytes for records). Peer, tag
   * and context in the call area. Returns a request index: the request completes when nothing more can come, or is cancelled.
   * `shared`: any thread reads the ring, without a call.
   */
  beginTaking(ring: Int32Array, shared: boolean): number;
  /** There is room in its ring, or what came alone has been received. */
  resumeTaking(request: number): void;
  /**
   * The taker with this ring stops, and its request, if it has not ended, completes as cancelled. What its reader has not read, by
   * Ring.read, goes back to its place in line; before it `alone`, the last that was received with RecvFlag.next (its bytes; peer, tag and
   * encoding in the call area). Context in the call area.
   */
  stopTaking(request: number, ring: Int32Array, alone: Uint8Array | undefined): void;
  /** Calls `news` on this thread, whose event loop it does not keep alive, whenever readers of shared rings are to be woken. */
  watchQueues(news: () => void): void;
  /** Readers of shared rings have made room. */
  feedQueues(): void;
  /** True if the request was still unmatched and will complete as cancelled. */
  cancel(request: number): boolean;
  /** Copies the body of a completed, still undrained receive, from byte `from` on, into all of `target`. */
  take(request: number, target: ArrayBufferView, from: number): void;
  /** Hands over the memory of a completed, still undrained receive (Storage.stage, Storage.lease). */
  adopt(request: number): ArrayBuffer;
  /** Memory that peers can map, of whatever content; why not, if it cannot be had. */
  allocate(bytes: number): ArrayBuffer | string;
  /** Detaches the buffer of a view, and gives the memory back if it is leased. */
  release(view: ArrayBufferView): void;
  /** What a task takes along to another thread of this process is claimed with this key, or released when it is closed, or this thread ends. */
  openConsignment(): bigint;
  /**
   * Detaches the buffer of a view over leased or adopted memory, which waits under the ticket returned; NOT_OURS: this thread has no such
   * memory, or requests use it; CONSIGNMENT_CLOSED. Then nothing is done.
   */
  consign(key: bigint, view: ArrayBufferView): number;
  /** The memory again, in any thread that has attached; null: it was claimed already, or released. */
  claim(key: bigint, ticket: number): ArrayBuffer | null;
  closeConsignment(key: bigint): void;
  /** Whether requests of this thread use the leased memory under a view. */
  isLeaseInUse(view: ArrayBufferView): boolean;
  /** Whether this request keeps the process alive. */
  reference(request: number, keepsAlive: boolean): void;
  /** Whether any request of this thread keeps the process alive. */
  referenceAll(keepAlive: boolean): void;
  /** Gives back this thread's handle; outstanding receives complete as closed. The rank leaves with the last handle. */
  leave(): void;
  /** Says goodbye for the whole process, from process.on("exit"). */
  goodbye(): void;
  /** The process fails: threads that end from now on say no goodbye. */
  abandon(): void;
  /** What there is to count, in the order of `counters`: the fields of WorldStats. While this thread has a handle. */
  counterNames(): (keyof WorldStats)[];
  counters(into: Float64Array): void;
  /** How each rank has ended (Ending), a byte each, once everything it had sent was delivered. */
  endings(into: Uint8Array): void;
  /** Whether the world's collectives are this thread's: the first that asks has them for as long as this process is in the world. */
  claimCollectives(): boolean;
  /** Memory for the events of one rank: a descriptor, close-on-exec; or why not. */
  makeTraceBuffer(events: number): number | string;
  /** This process's events go there (empty: into a buffer of its own) once it is in a world; why not, or undefined. Once a process. */
  openTraceBuffer(path: string, events: number): string | undefined;
  /** Whether events are recorded. */
  traced(): boolean;
  /** The descriptor of this process's buffer, if it made it by itself, or -1. */
  ownTraceBuffer(): number;
  /** Now: the processor's clock, which events have, and CLOCK_MONOTONIC in nanoseconds. */
  traceClocks(): [bigint, bigint];
  /** This thread's name; in a world, its loop's sleeps are recorded from now on. */
  traceThread(name: string): void;
  /** The number of a name (at most 63 bytes) for traceSpan. */
  traceName(name: string): number;
  /** An event of JavaScript's: Kind in trace/buffer.ts, which name, when it began by CLOCK_MONOTONIC and how long it took, in ms. */
  traceSpan(kind: number, name: number, began: number, duration: number): void;
  /** Ends every rank of the job, this process at once, with this exit code (1 to 255). */
  abort(code: number): never;
}

let binding: NativeBinding | undefined;

/**
 * Loads the addon on first use, so that importing the package works everywhere.
 * @throws CarillonError ERR_CARILLON_UNSUPPORTED_PLATFORM or ERR_CARILLON_NATIVE_MISSING
 */
export function native(): NativeBinding {
  binding ??= load();
  return binding;
}

/** The folder of this machine's binaries: the addon and carillon-exec. */
export function prebuildPath(file: string): string {
  return fileURLToPath(new URL(`../../prebuilds/linux-${process.arch}/${file}`, import.meta.url));
}

function load(): NativeBinding {
  if (process.platform !== "linux" || (process.arch !== "x64" && process.arch !== "arm64")) {
    throw new CarillonError(
      "ERR_CARILLON_UNSUPPORTED_PLATFORM",
      `Carillon runs on Linux x64 and arm64; this is ${process.platform} ${process.arch}`,
    );
  }
  const path = prebuildPath("carillon.node");
  try {
    return createRequire(import.meta.url)(path) as NativeBinding;
  } catch (cause) {
    throw new CarillonError("ERR_CARILLON_NATIVE_MISSING", whyNotLoaded(cause as NodeJS.ErrnoException, path), {
      cause,
    });
  }
}

function whyNotLoaded({ code, message }: NodeJS.ErrnoException, path: string): string {
  switch (code) {
    case "MODULE_NOT_FOUND":
      return `no native addon for linux-${process.arch} in this package (looked for ${path}); in a checkout, \`npm ci && npm run build\` builds it`;
    case "ERR_DLOPEN_DISABLED":
      return "this process may not load native addons: start node with --allow-addons";
    default:
      return `the native addon cannot be loaded: ${message}`;
  }
}
