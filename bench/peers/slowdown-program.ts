// Two ranks that show what messages take from a computation: rank 1 posts receives and computes a fixed amount in JavaScript, rank 0 sends
// meanwhile. `none`: nothing. `singly`: each message when the one before it was matched, so that each has to ring, for as long as rank 1
// computes. `stream`: a number of messages, as fast as back-pressure allows. Answered with a Slowdown.
import { type Message, type Request, World } from "carillon";
import { cpuExactNs } from "../harness/cpu.js";
import { now } from "./clock.js";
import { compute, iterationsIn } from "./overlap.js";
import { SHORT_BYTES } from "./payload.js";
import { answer, onCommand } from "./serve.js";

export interface Slowdown {
  /** What rank 1 needed for its computation: on the clock, and on processors, all its threads. */
  readonly wallNs: number;
  readonly cpuNs: number;
  /** What was matched before it ended. */
  readonly messages: number;
  readonly rings: number;
  /** Rank 1's handler ran so often. */
  readonly handlerRuns: number;
}

const ORDER = 0;
const ARMED = 1;
const BODY = 2;
const DONE = 3;
const COMPUTE_NS = 300e6;
const MOST = { none: 0, singly: 8_000, stream: 40_000 } as const;
type Mode = keyof typeof MOST;

interface Computed extends Pick<Slowdown, "wallNs" | "cpuNs" | "handlerRuns"> {
  readonly end: number;
}

const world = await World.join();
answer("ready");

if (world.rank === 0) {
  onCommand(async ([mode]) => answer(JSON.stringify(await sender(mode as Mode))));
} else {
  onCommand(async () => {}); // the end of stdin ends this rank, too
  await receiver();
}

async function sender(mode: Mode): Promise<Slowdown> {
  await world.send(mode, { dest: 1, tag: ORDER });
  await world.recv({ source: 1, tag: ARMED });
  const ringsBefore = world.stats().rings ?? 0;
  const body = new Uint8Array(SHORT_BYTES);
  const ended = world.recv<Computed>({ source: 1, tag: DONE });
  const matchedAt: number[] = [];
  let sent = 0;
  while (sent < MOST[mode] && ended.state === "pending") {
    // The last of a stream, too: it settles when all before it are matched.
    const synchronous = mode === "singly" || sent === MOST[mode] - 1;
    const request = world.send(body, { dest: 1, tag: BODY, synchronous });
    if (request.state === "pending") await request;
    sent++;
    if (synchronous) matchedAt.push(now());
  }
  const rings = (world.stats().rings ?? 0) - ringsBefore;
  const { end, ...computed } = (await ended).value;
  await world.send(sent, { dest: 1, tag: DONE });
  const matched = matchedAt.filter((time) => time < end).length;
  if (mode !== "none" && matched === 0) throw new Error("messages waited until the receiver had computed");
  return { ...computed, messages: mode === "singly" ? matched : sent, rings };
}

async function receiver(): Promise<never> {
  const iterations = iterationsIn(COMPUTE_NS);
  const into = new Uint8Array(new SharedArrayBuffer(SHORT_BYTES));
  let posted: Request<Message>[] = [];
  for (;;) {
    const mode = (await world.recv<Mode>({ source: 0, tag: ORDER })).value;
    while (posted.length < MOST[mode]) posted.push(world.recv({ source: 0, tag: BODY, into }));
    await world.send(null, { dest: 0, tag: ARMED });
    const handledBefore = world.stats().handlerRuns ?? 0;
    const cpuBefore = cpuExactNs(process.pid) ?? Number.NaN;
    const start = now();
    compute(iterations);
    const end = now();
    const cpuNs = (cpuExactNs(process.pid) ?? Number.NaN) - cpuBefore;
    const handlerRuns = (world.stats().handlerRuns ?? 0) - handledBefore;
    await world.send({ wallNs: end - start, cpuNs, handlerRuns, end } satisfies Computed, { dest: 0, tag: DONE });
    const sent = (await world.recv<number>({ source: 0, tag: DONE })).value;
    await Promise.all(posted.slice(0, sent));
    posted = posted.slice(sent);
  }
}
