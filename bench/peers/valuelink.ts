// Peers that carry values (child_process IPC, MessagePort, BroadcastChannel, threads of one rank). Responsible for the workloads over such a
// link, and for back-pressure, which none of these channels has: a careful application lets itself be told how far its receiver is.
import { type OverlapLink, type OverlapOrder, overlapOrder, overlapPartner, overlapPasses } from "./overlap.js";
import {
  bytesExchange,
  bytesOf,
  checkMark,
  checkStep,
  type Exchange,
  echoBytesOf,
  exchangeOf,
  isBulk,
  mark,
  rateBytesOf,
  WINDOW,
} from "./payload.js";
import type { Initiator } from "./serve.js";

export interface ValueLink {
  send(value: unknown, transfer?: readonly ArrayBuffer[]): PromiseLike<unknown> | undefined;
  receive(): PromiseLike<unknown>;
  /** The value in what was received, if that is not the value itself. */
  open?(received: unknown): unknown;
  /** So many bytes at their cheapest on this channel; default a Uint8Array. */
  bytes?(bytes: number): Exchange;
  /** Sends, and settles when it has left, where the channel says so: then nobody needs to be told how far the receiver is. */
  left?(value: unknown): Promise<unknown>;
  /** Long bodies are given away, and come back, instead of being copied. */
  readonly transfers?: boolean;
}

/** Short messages after which the sender looks how far its receiver is; as many again may be on their way. */
const WINDOW_MESSAGES = 1_024;

interface Order {
  readonly workload: string;
  readonly count: number;
  readonly overlap?: OverlapOrder;
}

/** By size: every batch uses the same memory. */
const memories = new Map<number, Uint8Array[]>();

export function overValues(link: ValueLink): Initiator {
  const { open = (received) => received } = link;

  async function echo(exchange: Exchange, count: number, times: Float64Array | undefined): Promise<void> {
    for (let i = 0; i < count; i++) {
      const start = performance.now();
      await link.send(exchange.next(i));
      exchange.check(open(await link.receive()), i);
      if (times) times[i] = performance.now() - start;
    }
  }

  async function short(exchange: Exchange, count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const value = exchange.next(i);
      if ((i + 1) % WINDOW_MESSAGES !== 0) {
        const sent = link.send(value);
        if (sent !== undefined) await sent;
      } else if (link.left) {
        await link.left(value);
      } else {
        await link.send(value);
        if (i + 1 > WINDOW_MESSAGES) checkStep(i + 1 - WINDOW_MESSAGES, open(await link.receive()) as number);
      }
    }
    const acknowledged = Math.floor(count / WINDOW_MESSAGES) * WINDOW_MESSAGES;
    if (!link.left && acknowledged > 0) checkStep(acknowledged, open(await link.receive()) as number);
    checkStep(count, open(await link.receive()) as number);
  }

  /** WINDOW of them on their way; the answer to each is its number, or its memory. */
  async function long(bytes: number, count: number): Promise<void> {
    const bodies = buffers(bytes);
    for (let i = 0; i < count + WINDOW; i++) {
      const slot = i % WINDOW;
      if (i >= WINDOW && i - WINDOW < count) {
        const answer = open(await link.receive());
        if (link.transfers) bodies[slot] = answer as Uint8Array;
        else checkStep(i - WINDOW, answer as number);
      }
      if (i >= count) continue;
      const body = bodies[slot] as Uint8Array<ArrayBuffer>;
      mark(body, i);
      await link.send(body, link.transfers ? [body.buffer] : undefined);
    }
  }

  return {
    async passes(workload, count, times) {
      const overlap = overlapOrder(workload, count);
      await link.send({ workload, count, ...(overlap ? { overlap } : {}) } satisfies Order);
      if (overlap) return overlapPasses(overlapLink(link), overlap, times);
      const rate = rateBytesOf(workload);
      if (rate !== undefined) return short(bytesOver(link, rate), count);
      if (isBulk(workload)) return long(bytesOf(workload), count);
      return echo(exchangeOver(link, workload), count, times);
    },
  };
}

/** The other end. */
export async function echoValues(link: ValueLink): Promise<never> {
  const { open = (received) => received } = link;
  for (;;) {
    const { workload, count, overlap } = open(await link.receive()) as Order;
    const rate = rateBytesOf(workload);
    if (overlap) {
      await overlapPartner(overlapLink(link), overlap);
    } else if (rate !== undefined) {
      const exchange = bytesOver(link, rate);
      for (let i = 0; i < count; i++) {
        exchange.check(open(await link.receive()), i);
        if (!link.left && (i + 1) % WINDOW_MESSAGES === 0) await link.send(i + 1);
      }
      await link.send(count);
    } else if (isBulk(workload)) {
      const bytes = bytesOf(workload);
      for (let i = 0; i < count; i++) {
        const body = open(await link.receive()) as Uint8Array<ArrayBuffer>;
        checkMark(body, bytes, i);
        await (link.transfers ? link.send(body, [body.buffer]) : link.send(i));
      }
    } else {
      for (let i = 0; i < count; i++) await link.send(open(await link.receive()));
    }
  }
}

function exchangeOver(link: ValueLink, workload: string): Exchange {
  const bytes = echoBytesOf(workload);
  const exchange = bytes === undefined ? exchangeOf(workload) : bytesOver(link, bytes);
  if (exchange === undefined) throw new Error(`${workload} is not for this channel`);
  return exchange;
}

function bytesOver(link: ValueLink, bytes: number): Exchange {
  return link.bytes?.(bytes) ?? (bytesExchange(bytes) as Exchange);
}

function buffers(bytes: number): Uint8Array[] {
  const known = memories.get(bytes) ?? Array.from({ length: WINDOW }, () => new Uint8Array(bytes).fill(1));
  memories.set(bytes, known);
  return known;
}

/** A body or a signal is simply the next message: each side knows which one must come. */
function overlapLink(link: ValueLink): OverlapLink {
  const { open = (received) => received } = link;
  return {
    memory: (bytes) => new Uint8Array(bytes),
    send: (body) => Promise.resolve(link.send(body)),
    receive: async () => open(await link.receive()) as Uint8Array,
    signal: () => Promise.resolve(link.send(0)),
    signalled: async () => link.receive(),
  };
}
