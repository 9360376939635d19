// Peers that carry bytes only (a UNIX socket, zeromq): v8.serialize makes objects and strings of them, as an
// application without Carillon would do it. Responsible for the workloads over such a link; not for the link.
import { deserialize, serialize } from "node:v8";
import { checkStep, type Frame, MEBIBYTE, makeFrame, TEXT } from "./payload.js";
import type { Initiator } from "./serve.js";

export interface ByteLink {
  /** Settles when the link takes more. */
  send(body: Uint8Array): Promise<unknown> | undefined;
  /** The next message; its bytes are valid until the next call. */
  receive(): Promise<Uint8Array>;
}

// A message of this length tells the partner what follows: the workload's number and a count.
const CONTROL_BYTES = 5;
const ECHO_BYTES = 0;
const ECHO_VALUES = 1;
const STREAM = 2;

function control(kind: number, count: number): Uint8Array {
  const body = Buffer.alloc(CONTROL_BYTES);
  body.writeUInt8(kind, 0);
  body.writeUInt32LE(count, 1);
  return body;
}

export function overBytes(link: ByteLink): Initiator {
  const eight = new Uint8Array(8);
  const frame = makeFrame();
  const block = new Uint8Array(MEBIBYTE);

  async function bytes(count: number, times: Float64Array | undefined): Promise<void> {
    for (let i = 0; i < count; i++) {
      const start = performance.now();
      eight[0] = i & 255;
      await link.send(eight);
      const answer = await link.receive();
      checkStep(i & 255, answer[0]);
      if (times) times[i] = performance.now() - start;
    }
  }

  async function objects(count: number, times: Float64Array | undefined): Promise<void> {
    for (let i = 0; i < count; i++) {
      const start = performance.now();
      frame.step = i;
      await link.send(serialize(frame));
      const answer: Frame = deserialize(await link.receive());
      checkStep(i, answer.step);
      if (times) times[i] = performance.now() - start;
    }
  }

  async function strings(count: number, times: Float64Array | undefined): Promise<void> {
    for (let i = 0; i < count; i++) {
      const start = performance.now();
      await link.send(serialize(TEXT));
      const answer: string = deserialize(await link.receive());
      checkStep(TEXT.length, answer.length);
      if (times) times[i] = performance.now() - start;
    }
  }

  async function stream(count: number): Promise<void> {
    // Not changed within a batch: zeromq has accepted, not sent, what it has been given.
    block[0] = count & 255;
    for (let i = 0; i < count; i++) await link.send(block);
    checkStep(count, Buffer.from(await link.receive()).readUInt32LE(1));
  }

  return {
    async passes(workload, count, times) {
      if (workload === "stream1m") {
        await link.send(control(STREAM, count));
        return stream(count);
      }
      await link.send(control(workload === "bytes8" ? ECHO_BYTES : ECHO_VALUES, count));
      if (workload === "bytes8") return bytes(count, times);
      return workload === "object" ? objects(count, times) : strings(count, times);
    },
  };
}

/** The other end: sends back what comes, as values or as bytes; of a stream only the count. */
export async function echoBytes(link: ByteLink): Promise<never> {
  let values = false;
  for (;;) {
    const body = await link.receive();
    if (body.length !== CONTROL_BYTES) {
      await link.send(values ? serialize(deserialize(body)) : body);
      continue;
    }
    const kind = body[0];
    const count = Buffer.from(body).readUInt32LE(1);
    values = kind === ECHO_VALUES;
    if (kind !== STREAM) continue;
    for (let i = 0; i < count; i++) {
      const block = await link.receive();
      checkStep(count & 255, block[0]);
    }
    await link.send(control(STREAM, count));
  }
}
