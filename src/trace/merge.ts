// From the ranks' buffers to events of the Trace Event format, which Perfetto and chrome://tracing open: a process is a rank, a thread a
// thread, spans of native code lie within each other, and flows lead from a send to its match and to where its body was copied.
// Not responsible for buffers (buffer.ts) nor for the file (timeline.ts).
import { HOW, Kind, REASONS, TAKES, type TraceBuffer, WOKEN } from "./buffer.js";
import { crossing, type Span } from "./spans.js";

/** What JavaScript measured may be off by so much (ns): its clock is another one. */
const TOLERANCE = 1000;

/** A rank's number as a process: 0 is the kernel's idle process to Perfetto. */
const pidOf = (rank: number) => rank + 1;

export interface Part {
  readonly rank: number;
  readonly buffer: TraceBuffer;
}

/** An event as it stands in the file. */
export type TraceEvent = Record<string, unknown>;

/** A message, whoever saw it. */
interface Passage {
  how: number;
  sent: boolean;
  /** Events of its receiver: where it was matched, where the first part of its body was copied, and the last. */
  match: number;
  first: number;
  last: number;
}

interface Entry extends Span {
  readonly at: number;
}

type Emit = (event: TraceEvent) => void;

/** Emits everything, of each rank in order of time. `ns`: ticks as CLOCK_MONOTONIC. Returns when the timeline begins, by that clock. */
export function merge(parts: readonly Part[], ns: (ticks: number) => number, emit: Emit): number {
  const passages = new Passages();
  const readers = parts.map((part) => new Reader(part, ns, passages));
  const origin = Math.min(...readers.map((each) => each.origin));
  for (const reader of readers) reader.findSends();
  for (const reader of readers) reader.findMatches();
  const doorbells = new Map(parts.map(({ rank, buffer }) => [rank, buffer.doorbell]));
  for (const reader of readers) reader.emitAll(Number.isFinite(origin) ? origin : 0, doorbells, emit);
  return Number.isFinite(origin) ? origin : 0;
}

class Passages {
  readonly #all = new Map<string, Map<number, Passage>>();

  /** The envelope with this number from `source` to `dest`. */
  at(source: number, dest: number, number: number): Passage {
    const pair = `${source}>${dest}`;
    let all = this.#all.get(pair);
    if (!all) {
      all = new Map();
      this.#all.set(pair, all);
    }
    let passage = all.get(number);
    if (!passage) {
      passage = { how: 0, sent: false, match: -1, first: -1, last: -1 };
      all.set(number, passage);
    }
    return passage;
  }
}

class Reader {
  readonly #rank: number;
  readonly #buffer: TraceBuffer;
  readonly #passages: Passages;
  /** Complete events, by when they begin. */
  readonly #entries: Entry[];
  /** At which events a world began: a process may be in several, one after the other. */
  readonly #worlds: number[] = [];
  /** Numbers of envelopes, by their arrival here; and by the receive that took them. */
  readonly #byArrival = new Map<number, number>();
  readonly #byReceive = new Map<number, number>();

  constructor({ rank, buffer }: Part, ns: (ticks: number) => number, passages: Passages) {
    this.#rank = rank;
    this.#buffer = buffer;
    this.#passages = passages;
    this.#entries = [];
    for (let at = 0; at < buffer.length; at++) {
      const kind = buffer.kind(at);
      if (kind === 0) continue;
      if (kind === Kind.world) {
        this.#worlds.push(at);
        continue;
      }
      const loose = kind === Kind.task || kind === Kind.user;
      this.#entries.push({ at, begin: ns(buffer.begin(at)), end: ns(buffer.end(at)), loose });
    }
    this.#entries.sort((a, b) => a.begin - b.begin || b.end - a.end);
  }

  get origin(): number {
    return this.#entries[0]?.begin ?? Number.POSITIVE_INFINITY;
  }

  findSends(): void {
    const b = this.#buffer;
    for (const { at } of this.#entries) {
      const kind = b.kind(at);
      if (kind === Kind.send) {
        const passage = this.#passages.at(this.#rank, b.peer(at), this.#sent(at));
        passage.sent = true;
        passage.how = b.how(at);
        if (b.peer(at) === this.#rank) this.#byArrival.set(this.#unique(at, b.detail(at)), this.#sent(at));
      } else if (b.number(at) > 0 && b.detail(at) > 0 && (kind === Kind.arrive || kind === Kind.match)) {
        this.#byArrival.set(this.#unique(at, b.detail(at)), b.number(at));
      }
    }
  }

  findMatches(): void {
    const b = this.#buffer;
    for (const { at } of this.#entries) {
      if (b.kind(at) !== Kind.match) continue;
      const number = this.#matched(at);
      if (b.key(at) > 0) this.#byReceive.set(this.#unique(at, b.key(at)), number);
      if (number > 0) this.#passages.at(b.peer(at), this.#rank, number).match = at;
    }
    for (const { at } of this.#entries) {
      if (b.kind(at) !== Kind.copy && b.kind(at) !== Kind.part) continue;
      const passage = this.#received(at);
      if (!passage) continue;
      if (passage.first < 0) passage.first = at;
      passage.last = at;
    }
  }

  emitAll(origin: number, doorbells: ReadonlyMap<number, string>, emit: Emit): void {
    const b = this.#buffer;
    const rank = this.#rank;
    const pid = pidOf(rank);
    const micros = (ns: number) => Math.round(ns - origin) / 1000;
    emit({ ph: "M", name: "process_name", pid, tid: 0, args: { name: `rank ${rank}` } });
    emit({ ph: "M", name: "process_sort_index", pid, tid: 0, args: { sort_index: rank } });
    this.#emitThreads(emit);
    const loose = this.#crossing();
    /** What has begun and not ended: receives by their number, sends by peer and number. */
    const open = new Map<string, TraceEvent>();
    /** Ends of spans that have been emitted, in order. */
    const later: (TraceEvent & { ts: number })[] = [];
    let last = 0;
    for (const entry of this.#inOrder()) {
      const { at } = entry;
      const tid = this.#tid(at);
      const ts = micros(entry.begin);
      last = Math.max(last, micros(entry.end));
      const base = { pid, tid, ts };
      for (let next = later[0]; next && next.ts <= ts; next = later[0]) emit(later.shift() as TraceEvent);
      const span = (name: string, cat: string, args: TraceEvent) =>
        emit({ ph: "X", name, cat, ...base, dur: Math.max(micros(entry.end) - ts, 0), args });
      const instant = (name: string, cat: string, args: TraceEvent) =>
        emit({ ph: "i", name, cat, ...base, s: "t", args });
      const flow = (ph: "s" | "t" | "f", source: number, dest: number, number: number) =>
        emit({
          ph,
          name: "message",
          cat: "message",
          ...base,
          id: `${source}>${dest}:${number}`,
          ...(ph === "f" && { bp: "e" }),
        });
      const begin = (id: string, name: string, args: TraceEvent) => {
        if (open.has(id)) end(id, { unfinished: true });
        const event = { name, cat: "request", pid, tid, id };
        open.set(id, event);
        emit({ ph: "b", ...event, ts, args });
      };
      const end = (id: string, args: TraceEvent) => {
        const event = open.get(id);
        if (event) emit({ ph: "e", ...event, ts, args });
        open.delete(id);
      };
      const peer = b.peer(at);
      const message = () => ({ peer, tag: b.tag(at), bytes: b.bytes(at), protocol: HOW[b.how(at)] ?? "" });
      switch (b.kind(at)) {
        case Kind.send: {
          const number = this.#sent(at);
          const passage = this.#passages.at(rank, peer, number);
          span(`send to ${peer}`, "message", message());
          if (passage.match >= 0) flow("s", rank, peer, number);
          if (HOW[b.how(at)] === "rendezvous" || HOW[b.how(at)] === "leased")
            begin(`send ${rank}>${peer}:${number}`, `send to ${peer}`, message());
          break;
        }
        case Kind.receive: {
          const source = peer < 0 ? "any" : peer;
          const tag = b.tag(at) < 0 ? "any" : b.tag(at);
          begin(`recv ${rank}:${this.#unique(at, b.key(at))}`, `${TAKES[b.detail(at)] ?? "recv"} from ${source}`, {
            peer: source,
            tag,
          });
          break;
        }
        case Kind.arrive:
          span(`unexpected from ${peer}`, "message", message());
          break;
        case Kind.match: {
          const number = this.#matched(at);
          const passage = number > 0 ? this.#passages.at(peer, rank, number) : undefined;
          const protocol = HOW[passage?.how || b.how(at)];
          span(`match from ${peer}`, "message", { ...message(), protocol });
          if (passage?.sent && passage.match === at) flow(passage.last < 0 ? "f" : "t", peer, rank, number);
          break;
        }
        case Kind.complete: {
          const sends = (b.detail(at) & 1) !== 0;
          const id = sends ? `send ${rank}>${peer}:${b.number(at)}` : `recv ${rank}:${this.#unique(at, b.key(at))}`;
          end(id, b.detail(at) >> 1 === 0 ? message() : { status: b.detail(at) >> 1 });
          break;
        }
        case Kind.ring:
          span(`ring ${peer}`, "doorbell", {
            peer,
            doorbell: doorbells.get(peer) ?? "",
            interrupt: b.detail(at) === 1,
          });
          break;
        case Kind.escalate:
          span(`ring ${peer} again`, "doorbell", { peer });
          break;
        case Kind.handler:
          span("handler", "doorbell", { doorbell: b.doorbell });
          break;
        case Kind.wake:
          instant("wake", "loop", { by: WOKEN[b.detail(at)] ?? "" });
          break;
        case Kind.progress:
          span("progress", "progress", { by: REASONS.filter((_, bit) => (b.detail(at) >> bit) & 1).join(", ") });
          break;
        case Kind.sleep:
          span("sleep", "loop", {});
          break;
        case Kind.look:
          span("look", "loop", { won: b.detail(at) === 1 });
          break;
        case Kind.drain:
          span("settle", "loop", {});
          break;
        case Kind.copy:
        case Kind.part: {
          span(`copy from ${peer}`, "message", message());
          const passage = this.#received(at);
          if (!passage?.sent || passage.match < 0) break;
          const number = this.#number(at);
          if (at === passage.last) flow("f", peer, rank, number);
          else if (at === passage.first) flow("t", peer, rank, number);
          break;
        }
        case Kind.push:
          span(`push to ${peer}`, "message", message());
          break;
        case Kind.task:
        case Kind.user: {
          const name = b.names[b.detail(at)] || "(too many names)";
          const cat = b.kind(at) === Kind.task ? "pool" : "user";
          if (!loose.has(entry)) span(name, cat, {});
          else {
            const id = `span ${rank}:${at}`;
            emit({ ph: "b", name, cat, ...base, id, args: {} });
            const ends = micros(entry.end);
            const place = later.findIndex((each) => each.ts > ends);
            const event = { ph: "e", name, cat, ...base, ts: ends, id, args: {} };
            later.splice(place < 0 ? later.length : place, 0, event);
          }
          break;
        }
        case Kind.mark:
          instant(b.names[b.detail(at)] || "(too many names)", "user", {});
          break;
      }
    }
    later.forEach(emit);
    for (const event of open.values()) emit({ ph: "e", ...event, ts: last, args: { unfinished: true } });
  }

  #emitThreads(emit: Emit): void {
    const named = new Map<number, string>();
    for (const { id, name } of this.#buffer.threads) named.set(id, name || named.get(id) || "");
    for (const { at } of this.#entries) if (!named.has(this.#tid(at))) named.set(this.#tid(at), "");
    for (const [tid, name] of named) {
      if (tid === 0 && !this.#entries.some(({ at }) => this.#tid(at) === 0)) continue;
      const shown = name || (tid === 0 ? "other threads" : `thread ${tid}`);
      const order = name === "main" ? 0 : name === "progress" ? 2 : 1;
      emit({ ph: "M", name: "thread_name", pid: pidOf(this.#rank), tid, args: { name: shown } });
      emit({ ph: "M", name: "thread_sort_index", pid: pidOf(this.#rank), tid, args: { sort_index: order } });
    }
  }

  /** Of spans that begin together the longer first: they may have been trimmed. */
  #inOrder(): Entry[] {
    return this.#entries.sort((a, b) => a.begin - b.begin || b.end - a.end);
  }

  /** Those that JavaScript measured and that lie across others. */
  #crossing(): Set<Entry> {
    const byThread = new Map<number, Entry[]>();
    for (const entry of this.#entries) {
      const tid = this.#tid(entry.at);
      const all = byThread.get(tid);
      if (all) all.push(entry);
      else byThread.set(tid, [entry]);
    }
    const found = new Set<Entry>();
    for (const all of byThread.values()) for (const entry of crossing(all, TOLERANCE)) found.add(entry);
    return found;
  }

  #tid(at: number): number {
    return this.#buffer.threads[this.#buffer.lane(at)]?.id ?? 0;
  }

  /** A number that this process counts in each of its worlds, so that it is another in each. */
  #unique(at: number, number: number): number {
    let world = this.#worlds.length - 1;
    while (world > 0 && (this.#worlds[world] as number) > at) world--;
    return Math.max(world, 0) * 2 ** 40 + number;
  }

  /** Of a message that is sent. With others a process is in one world only. */
  #sent(at: number): number {
    const number = this.#buffer.number(at);
    return this.#buffer.peer(at) === this.#rank ? this.#unique(at, number) : number;
  }

  #matched(at: number): number {
    return this.#buffer.number(at) || this.#byArrival.get(this.#unique(at, this.#buffer.detail(at))) || 0;
  }

  #number(at: number): number {
    return this.#buffer.number(at) || this.#byReceive.get(this.#unique(at, this.#buffer.key(at))) || 0;
  }

  /** The message that an event of its receiver speaks of. */
  #received(at: number): Passage | undefined {
    const number = this.#number(at);
    return number > 0 ? this.#passages.at(this.#buffer.peer(at), this.#rank, number) : undefined;
  }
}
