// Matching with much posted, or much waiting: a world of one sends to itself, so that nothing but the engine and the API is
// measured. One pass is one send and the receive that takes it. The first word of the command line is the depth: how many other
// receives are posted, or how many other messages wait; each has a tag of its own. The second, `map`: the same without Carillon.
import { World } from "carillon";
import type { MatchPattern } from "../harness/peer.js";
import { checkStep } from "./payload.js";
import { PromiseMap } from "./promise-map.js";
import { serve } from "./serve.js";

/** A stride through the tags that meets all of them in no particular order: a prime larger than any depth. */
const STRIDE = 1_000_003;

const depth = Number(process.argv[2]);
const body = new Uint8Array(8);
const { post, send } = process.argv[3] === "map" ? inMap() : await toOneself();
const posted: ReturnType<typeof post>[] = [];
let waiting = 0;

interface Matching {
  readonly post: (tag: number) => Promise<{ readonly tag: number }>;
  readonly send: (tag: number) => Promise<void>;
}

async function toOneself(): Promise<Matching> {
  const world = await World.join();
  return {
    post: (tag) => world.recv({ source: world.rank, tag }),
    send: (tag) => world.send(body, { dest: world.rank, tag }),
  };
}

function inMap(): Matching {
  const map = new PromiseMap();
  return { post: (tag) => map.recv(tag), send: (tag) => map.send(body, tag) };
}

/** `depth` receives, tags 0 to depth - 1, that wait. */
function postAll(): void {
  while (posted.length < depth) posted.push(post(posted.length));
}

/** `depth` messages, tags 0 to depth - 1, that nobody has asked for. */
async function sendAll(): Promise<void> {
  while (waiting < depth) await send(waiting++);
}

const patterns: Record<MatchPattern, (count: number) => Promise<void>> = {
  async "posted-last"(count) {
    postAll();
    for (let i = 0; i < count; i++) {
      const received = post(depth);
      await send(depth);
      checkStep(depth, (await received).tag);
    }
  },
  async "posted-any"(count) {
    postAll();
    for (let i = 0; i < count; i++) {
      const tag = (i * STRIDE) % depth;
      await send(tag);
      checkStep(tag, (await posted[tag])?.tag);
      posted[tag] = post(tag);
    }
  },
  async "unexpected-behind"(count) {
    await sendAll();
    for (let i = 0; i < count; i++) {
      await send(depth);
      checkStep(depth, (await post(depth)).tag);
    }
  },
  async "unexpected-any"(count) {
    await sendAll();
    for (let i = 0; i < count; i++) {
      const tag = (i * STRIDE) % depth;
      checkStep(tag, (await post(tag)).tag);
      await send(tag);
    }
  },
};

serve({ passes: (workload, count) => patterns[workload as MatchPattern](count) });
