// Two ranks over Carillon: rank 0 is the initiator, rank 1 sends back every value it gets. Both await everything.
import { World } from "carillon";
import { type OverlapLink, type OverlapOrder, overlapOrder, overlapPartner, overlapPasses } from "./overlap.js";
import { checkStep, type Frame, MEBIBYTE, makeFrame, TEXT } from "./payload.js";
import { type Initiator, onCommand, serve } from "./serve.js";

const ECHO = 0;
const STREAM = 1;
const OVERLAP = 2;
const BODY = 3;
const SIGNAL = 4;
const world = await World.join();

if (world.rank === 0) {
  serve(initiator());
} else {
  onCommand(async () => {}); // the end of stdin ends this rank, too
  await partner();
}

function initiator(): Initiator {
  const eight = new Uint8Array(8);
  const frame = makeFrame();
  const block = new Uint8Array(MEBIBYTE);

  async function bytes(count: number, times: Float64Array | undefined): Promise<void> {
    for (let i = 0; i < count; i++) {
      const start = performance.now();
      eight[0] = i & 255;
      await world.send(eight, { dest: 1 });
      const answer = await world.recv({ source: 1 });
      checkStep(i & 255, answer.data[0]);
      if (times) times[i] = performance.now() - start;
    }
  }

  async function objects(count: number, times: Float64Array | undefined): Promise<void> {
    for (let i = 0; i < count; i++) {
      const start = performance.now();
      frame.step = i;
      await world.send(frame, { dest: 1 });
      const answer = await world.recv<Frame>({ source: 1 });
      checkStep(i, answer.value.step);
      if (times) times[i] = performance.now() - start;
    }
  }

  async function strings(count: number, times: Float64Array | undefined): Promise<void> {
    for (let i = 0; i < count; i++) {
      const start = performance.now();
      await world.send(TEXT, { dest: 1 });
      const answer = await world.recv<string>({ source: 1 });
      checkStep(TEXT.length, answer.value.length);
      if (times) times[i] = performance.now() - start;
    }
  }

  async function stream(count: number): Promise<void> {
    await world.send(count, { dest: 1, tag: STREAM });
    for (let i = 0; i < count; i++) {
      block[0] = i & 255;
      await world.send(block, { dest: 1, tag: STREAM });
    }
    checkStep(count, (await world.recv<number>({ source: 1 })).value);
  }

  return {
    async passes(workload, count, times) {
      const order = overlapOrder(workload, count);
      if (order) {
        await world.send(order, { dest: 1, tag: OVERLAP });
        return overlapPasses(overlapLink(1), order, times);
      }
      if (workload === "bytes8") return bytes(count, times);
      if (workload === "object") return objects(count, times);
      return workload === "string" ? strings(count, times) : stream(count);
    },
  };
}

async function partner(): Promise<never> {
  const into = new Uint8Array(new SharedArrayBuffer(MEBIBYTE));
  const overlapping = overlapLink(0);
  for (;;) {
    const message = await world.recv({ source: 0 });
    if (message.tag === OVERLAP) {
      await overlapPartner(overlapping, message.value as OverlapOrder);
      continue;
    }
    if (message.tag === ECHO) {
      await world.send(message.value, { dest: 0 });
      continue;
    }
    const count = message.value as number;
    for (let i = 0; i < count; i++) {
      await world.recv({ source: 0, tag: STREAM, into });
      checkStep(i & 255, into[0]);
    }
    await world.send(count, { dest: 0 });
  }
}

function overlapLink(peer: number): OverlapLink {
  const nothing = new Uint8Array(0);
  return {
    memory: (bytes) =>
      process.env.BENCH_MEMORY === "allocated"
        ? world.allocate(bytes).data
        : new Uint8Array(new SharedArrayBuffer(bytes)),
    send: (body) => world.send(body, { dest: peer, tag: BODY }),
    receive: (into) => world.recv({ source: peer, tag: BODY, into }).then((message) => message.data),
    signal: () => world.send(nothing, { dest: peer, tag: SIGNAL }),
    signalled: () => world.recv({ source: peer, tag: SIGNAL }),
  };
}
