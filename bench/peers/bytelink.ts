// Peers that carry bytes only (a UNIX socket, zeromq): v8.serialize makes objects and strings of them, as an
// application without Carillon would do it. Responsible for the workloads over such a link; not for the link.
import { deserialize, serialize } from "node:v8";
import { type OverlapLink, overlapOrder, overlapPartner, overlapPasses } from "./overlap.js";
import {
  bytesExchange,
  bytesOf,
  checkMark,
  checkStep,
  echoBytesOf,
  exchangeOf,
  isBulk,
  MEBIBYTE,
  mark,
  rateBytesOf,
  WINDOW,
} from "./payload.js";
import type { Initiator } from "./serve.js";

export interface ByteLink {
  /** Settles when the link takes more. */
  send(body: Uint8Array): Promise<unknown> | undefined;
  /** The next message; its bytes are valid until the next call. */
  receive(): Promise<Uint8Array>;
}

// Before each batch a message tells the partner what follows: the kind of workload and three numbers.
const CONTROL_BYTES = 25;
const ECHO_BYTES = 0;
const ECHO_VALUES = 1;
const STREAM = 2;
const OVERLAP = 3;

function control(kind: number, ...numbers: number[]): Uint8Array {
  const body = Buffer.alloc(CONTROL_BYTES);
  body.writeUInt8(kind, 0);
  for (const [i, number] of numbers.entries()) body.writeDoubleLE(number, 1 + 8 * i);
  return body;
}

function numbersOf(body: Uint8Array): [number, number, number] {
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  return [view.getFloat64(1, true), view.getFloat64(9, true), view.getFloat64(17, true)];
}

export function overBytes(link: ByteLink): Initiator {
  const overlapping = overlapLink(link);

  async function bytes(size: number, count: number, times: Float64Array | undefined): Promise<void> {
    const exchange = bytesExchange(size);
    await link.send(control(ECHO_BYTES, count));
    for (let i = 0; i < count; i++) {
      const start = performance.now();
      await link.send(exchange.next(i));
      exchange.check(await link.receive(), i);
      if (times) times[i] = performance.now() - start;
    }
  }

  async function values(workload: string, count: number, times: Float64Array | undefined): Promise<void> {
    const exchange = exchangeOf(workload);
    if (exchange === undefined) throw new Error(`${workload} is nothing that goes there and back`);
    await link.send(control(ECHO_VALUES, count));
    for (let i = 0; i < count; i++) {
      const start = performance.now();
      await link.send(serialize(exchange.next(i)));
      exchange.check(deserialize(await link.receive()), i);
      if (times) times[i] = performance.now() - start;
    }
  }

  const streamed = new Map<string, Uint8Array[]>();
  async function stream(count: number, bytes: number, buffers: number): Promise<void> {
    const key = `${bytes} ${buffers}`;
    const blocks = streamed.get(key) ?? Array.from({ length: buffers }, () => new Uint8Array(bytes).fill(1));
    streamed.set(key, blocks);
    // Not changed within a batch: zeromq has accepted, not sent, what it has been given.
    for (const block of blocks) mark(block, count);
    await link.send(control(STREAM, count, bytes));
    for (let i = 0; i < count; i++) await link.send(blocks[i % buffers] as Uint8Array);
    checkStep(count, numbersOf(await link.receive())[0]);
  }

  return {
    async passes(workload, count, times) {
      if (workload === "stream1m") return stream(count, MEBIBYTE, 1);
      const short = rateBytesOf(workload);
      if (short !== undefined) return stream(count, short, 1);
      if (isBulk(workload)) return stream(count, bytesOf(workload), WINDOW);
      const order = overlapOrder(workload, count);
      if (order) {
        await link.send(control(OVERLAP, order.exchanges, order.bytes, order.partnerNs));
        return overlapPasses(overlapping, order, times);
      }
      const echo = echoBytesOf(workload);
      return echo === undefined ? values(workload, count, times) : bytes(echo, count, times);
    },
  };
}

/** The other end: sends back what comes, as values or as bytes; of a stream only the count. */
export async function echoBytes(link: ByteLink): Promise<never> {
  const overlapping = overlapLink(link);
  for (;;) {
    const order = await link.receive();
    checkStep(CONTROL_BYTES, order.length);
    const kind = order[0];
    const [count, bytes, partnerNs] = numbersOf(order);
    if (kind === ECHO_BYTES) {
      for (let i = 0; i < count; i++) await link.send(await link.receive());
    } else if (kind === ECHO_VALUES) {
      for (let i = 0; i < count; i++) await link.send(serialize(deserialize(await link.receive())));
    } else if (kind === OVERLAP) {
      await overlapPartner(overlapping, { exchanges: count, bytes, partnerNs });
    } else {
      for (let i = 0; i < count; i++) checkMark(await link.receive(), bytes, count);
      await link.send(control(STREAM, count));
    }
  }
}

/** A body or a signal is simply the next message: each side knows which one must come. */
function overlapLink(link: ByteLink): OverlapLink {
  const one = new Uint8Array(1);
  return {
    memory: (bytes) => new Uint8Array(bytes),
    send: (body) => link.send(body),
    receive: () => link.receive(),
    signal: () => link.send(one),
    signalled: () => link.receive(),
  };
}
