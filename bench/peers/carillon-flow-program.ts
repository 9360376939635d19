// One way over Carillon: rank 0 sends, rank 1 takes, as fast as back-pressure allows; a batch ends when rank 1 says that it
// has everything. BENCH_TAKES says how short ones are taken, unless by awaited receives: by a standing taker's "callback", or a stream that it
// "subscribe"s to or "iterate"s over. BENCH_MEMORY says what the long messages are sent from and received into ("leased": given away; "new": as
// they come).
import { type Request, World } from "carillon";
import { bytesOf, checkMark, checkStep, isBulk, mark, WINDOW } from "./payload.js";
import { onCommand, serve } from "./serve.js";

const CONTROL = 0;
const FLOW = 1;
/** Of fewer, some would be those of a warm-up. */
const FEWEST_OFFERS = 20;
const [source, target] = (process.env.BENCH_MEMORY as string).split("-") as [string, string];
/** By kind and size: every batch uses the same memory. */
const allocated = new Map<string, Uint8Array[]>();
const world = await World.join();

interface Order {
  workload: string;
  count: number;
}

if (world.rank === 0) {
  serve({
    async passes(workload, count) {
      await world.send({ workload, count } satisfies Order, { dest: 1, tag: CONTROL });
      const bytes = bytesOf(workload);
      await (!isBulk(workload) ? sendShort : source === "leased" ? sendLeases : sendLong)(bytes, count);
      checkStep(count, (await world.recv<number>({ source: 1, tag: CONTROL })).value);
    },
    remark,
  });
} else {
  onCommand(async () => {}); // the end of stdin ends this rank, too
  for (;;) {
    const { workload, count } = (await world.recv<Order>({ source: 0, tag: CONTROL })).value;
    await (isBulk(workload) ? receiveLong : receiveShort)(bytesOf(workload), count);
    await world.send(count, { dest: 0, tag: CONTROL });
  }
}

/** Waits for a send only if it did not leave at once, which is how back-pressure shows. */
async function sendShort(bytes: number, count: number): Promise<void> {
  const message = new Uint8Array(bytes);
  for (let i = 0; i < count; i++) {
    mark(message, i);
    const sent = world.send(message, { dest: 1, tag: FLOW });
    if (sent.state === "pending") await sent;
  }
}

async function receiveShort(bytes: number, count: number): Promise<void> {
  const takes = process.env.BENCH_TAKES;
  if (takes === "callback") return takeShort(bytes, count);
  if (takes === "subscribe") return subscribeToShort(bytes, count);
  if (takes === "iterate") return iterateOverShort(bytes, count);
  for (let i = 0; i < count; i++) {
    const message = await world.recv({ source: 0, tag: FLOW });
    checkMark(message.data, bytes, i);
  }
}

function subscribeToShort(bytes: number, count: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let i = 0;
    const subscription = world.messages({ source: 0, tag: FLOW }).subscribe({
      next(message) {
        checkMark(message.data, bytes, i++);
        if (i < count) return;
        subscription.unsubscribe();
        resolve();
      },
      error: reject,
      complete: () => reject(new Error(`ended after ${i} of ${count} messages`)),
    });
  });
}

async function iterateOverShort(bytes: number, count: number): Promise<void> {
  let i = 0;
  for await (const message of world.messages({ source: 0, tag: FLOW })) {
    checkMark(message.data, bytes, i++);
    if (i === count) break;
  }
}

function takeShort(bytes: number, count: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let i = 0;
    const taker = world.take({
      source: 0,
      tag: FLOW,
      deliver(message) {
        checkMark(message.data, bytes, i++);
        if (i === count) taker.stop();
      },
      ended: () => (i === count ? resolve() : reject(new Error(`ended after ${i} of ${count} messages`))),
    });
  });
}

async function sendLong(bytes: number, count: number): Promise<void> {
  const sources = buffers(source, bytes);
  const sent: Request<void>[] = [];
  for (let i = 0; i < count; i++) {
    const slot = i % WINDOW;
    await sent[slot];
    const body = sources[slot] as Uint8Array;
    mark(body, i);
    sent[slot] = world.send(body, { dest: 1, tag: FLOW });
  }
  await Promise.all(sent);
}

/** Memory that is given away each time, and that nobody copies: what it holds is not written anew but for its marks. */
async function sendLeases(bytes: number, count: number): Promise<void> {
  const sent: Request<void>[] = [];
  for (let i = 0; i < count; i++) {
    const lease = world.allocate(bytes);
    mark(lease.data, i);
    await sent[i % WINDOW];
    sent[i % WINDOW] = world.send(lease, { dest: 1, tag: FLOW });
  }
  await Promise.all(sent);
}

async function receiveLong(bytes: number, count: number): Promise<void> {
  const targets = target === "new" ? [] : buffers(target, bytes);
  const receive = (i: number) => {
    const into = targets[i % WINDOW];
    return world.recv({ source: 0, tag: FLOW, ...(into ? { into } : {}) });
  };
  const posted = Array.from({ length: Math.min(WINDOW, count) }, (_, i) => receive(i));
  for (let i = 0; i < count; i++) {
    const slot = i % WINDOW;
    const message = await posted[slot];
    checkMark((message as NonNullable<typeof message>).data, bytes, i);
    if (source === "leased") message?.release();
    if (i + WINDOW < count) posted[slot] = receive(i + WINDOW);
  }
}

/** Which of the ways bodies went that their receiver chooses from while they come. */
function remark(): string {
  const { offersSent, pushed } = world.stats();
  if (offersSent < FEWEST_OFFERS || source === "leased") return "";
  const percent = Math.round((pushed / offersSent) * 100);
  return percent === 0 ? "all bodies pulled" : percent === 100 ? "all bodies pushed" : `${percent} % of bodies pushed`;
}

function buffers(kind: string, bytes: number): Uint8Array[] {
  const key = `${kind} ${bytes}`;
  const known = allocated.get(key) ?? Array.from({ length: WINDOW }, () => memory(kind, bytes).fill(1));
  allocated.set(key, known);
  return known;
}

function memory(kind: string, bytes: number): Uint8Array {
  if (kind === "allocated") return world.allocate(bytes).data; // a peer maps it, and copies
  return kind === "shared" ? new Uint8Array(new SharedArrayBuffer(bytes)) : new Uint8Array(bytes);
}
