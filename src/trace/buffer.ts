// A rank's buffer of events as it lies in memory (native/trace/trace.h): read, not interpreted. What is in it was written by another process,
// perhaps one that was killed: every number is taken as it is and bounded.
import { fstatSync, readSync } from "node:fs";

/** What an event is. `peer`, `tag`, `bytes` and `how` mean what they say wherever there is a message. */
export const Kind = {
  /** A message leaves, copied into the ring if it is eager. number: which of the envelopes to `peer` it is; to itself: detail, its arrival. */
  send: 1,
  /** A receive is posted. key: its number; detail: Takes in native/core/request.h. */
  receive: 2,
  /** Nobody waits for a message: it waits among the unexpected. number: which of the envelopes from `peer`; detail: its arrival. */
  arrive: 3,
  /** A message meets a receive (key; 0: one that stands). number: which envelope, 0: the one with the arrival in detail. */
  match: 4,
  /** A request ends. detail: Status << 1 | whether it sends; key, number as above. */
  complete: 5,
  /** `peer` is rung. detail: by an interrupt. */
  ring: 6,
  escalate: 7,
  /** An interrupt handler runs. */
  handler: 8,
  /** An event loop wakes. detail: Woken. */
  wake: 9,
  /** The progress thread works. detail: bits of Reason, why it woke. */
  progress: 10,
  /** An event loop sleeps. */
  sleep: 11,
  /** It looks at the rings before it sleeps. detail: whether that paid. */
  look: 12,
  /** JavaScript hears of what completed, and what awaits it runs. */
  drain: 13,
  /** A part of a body is read out of its sender's memory, or mapped. number or key as in match. */
  copy: 14,
  /** A part of a body is copied to where its receiver finds it. number as in send. */
  push: 15,
  /** Such a part is copied from there. */
  part: 16,
  /** A task of a ComputePool. detail: its name. */
  task: 17,
  /** performance.measure() and mark(). detail: the name. */
  user: 18,
  mark: 19,
  /** This process is in a world from here on, and counts from one again. */
  world: 20,
} as const;

/** How a message travels, in the words of the timeline; by number. */
export const HOW = ["", "eager", "rendezvous", "leased", "self", "pulled", "pushed"];
/** By what an event loop woke. */
export const WOKEN = ["", "bell", "completion"];
/** Why the progress thread woke, by bit. */
export const REASONS = ["bell", "escalation", "nudge", "timer", "hub"];
/** What a receive takes. */
export const TAKES = ["recv", "mprobe", "recv", "stream", "queue"];

const MAGIC = "CATRACE1";
const THREADS = { at: 4096, bytes: 32, count: 256, name: 4, nameBytes: 28 };
const NAMES = { at: 12_288, bytes: 64, count: 512 };
const EVENTS = 45_056;
const EVENT_BYTES = 64;

export class TraceBuffer {
  readonly process: number;
  readonly doorbell: string;
  /** Events kept; some may have been begun and never finished (kind 0). */
  readonly length: number;
  /** Later events, for which there was no room. */
  readonly lost: number;
  readonly anchor: { ticks: number; ns: number };
  /** By lane: the kernel's number of the thread and its name. */
  readonly threads: readonly { id: number; name: string }[];
  readonly names: readonly string[];
  readonly #words: Uint32Array;
  readonly #bytes: Buffer;

  /** Reads what is there now. */
  constructor(descriptor: number) {
    const head = read(descriptor, 0, EVENTS);
    if (head.toString("latin1", 0, 8) !== MAGIC) throw new Error("this is no buffer of events");
    const word = (at: number) => head.readUInt32LE(at);
    const wide = (at: number) => word(at) + word(at + 4) * 2 ** 32;
    const most = (fstatSync(descriptor).size - EVENTS) / EVENT_BYTES;
    const capacity = Math.min(wide(16), Math.floor(most));
    this.process = word(12);
    this.anchor = { ticks: wide(24), ns: wide(32) };
    this.doorbell = text(head, 40, 24);
    this.length = Math.min(wide(64), capacity);
    this.lost = wide(64) - this.length;
    this.threads = Array.from({ length: Math.min(word(128) + 1, THREADS.count) }, (_, lane) => {
      const at = THREADS.at + lane * THREADS.bytes;
      return { id: word(at), name: text(head, at + THREADS.name, THREADS.nameBytes) };
    });
    this.names = Array.from({ length: Math.min(word(132) + 1, NAMES.count) }, (_, i) =>
      text(head, NAMES.at + i * NAMES.bytes, NAMES.bytes),
    );
    this.#bytes = read(descriptor, EVENTS, this.length * EVENT_BYTES);
    this.#words = new Uint32Array(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.length / 4);
  }

  kind(i: number): number {
    return this.#bytes[i * EVENT_BYTES] as number;
  }
  how(i: number): number {
    return this.#bytes[i * EVENT_BYTES + 1] as number;
  }
  lane(i: number): number {
    return this.#word(i, 0) >>> 16;
  }
  tag(i: number): number {
    return this.#word(i, 1) | 0;
  }
  begin(i: number): number {
    return this.#wide(i, 2);
  }
  end(i: number): number {
    return this.#wide(i, 4);
  }
  bytes(i: number): number {
    return this.#wide(i, 6);
  }
  number(i: number): number {
    return this.#wide(i, 8);
  }
  key(i: number): number {
    return this.#wide(i, 10);
  }
  peer(i: number): number {
    return this.#word(i, 12) | 0;
  }
  detail(i: number): number {
    return this.#word(i, 13);
  }

  #word(i: number, at: number): number {
    return this.#words[(i * EVENT_BYTES) / 4 + at] as number;
  }
  #wide(i: number, at: number): number {
    return this.#word(i, at) + this.#word(i, at + 1) * 2 ** 32;
  }
}

function read(descriptor: number, from: number, length: number): Buffer {
  const bytes = Buffer.from(new ArrayBuffer(length));
  let done = 0;
  while (done < length) {
    const count = readSync(descriptor, bytes, done, length - done, from + done);
    if (count === 0) break; // zeros: no events
    done += count;
  }
  return bytes;
}

function text(bytes: Buffer, at: number, length: number): string {
  const end = bytes.indexOf(0, at);
  return bytes.toString("utf8", at, end < 0 || end > at + length ? at + length : end);
}
