// A rank of `carillon selftest`: rank 0 sends, rank 1 receives, computes or sits in a system call; both say what failed, rank 0 also what
// went well. Whatever must not happen shows as an order that cannot come about, and then as silence, never as a time that was exceeded.
// Not responsible for starting ranks nor for ending those that are silent (src/cli/selftest.ts).
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import type { Message } from "../message.js";
import type { WorldStats } from "../stats.js";
import { World } from "../world.js";
import { CHECKS, type Check, INTERRUPTING, type Verdict } from "./checks.js";

const MIB = 1 << 20;
const ORDERED = { count: 200, ahead: 20, sizes: [8, 500, 12_000, 20_000, 200_000] };
const EAGER = { count: 1000, sizes: [8, 100, 1000, 16_000] };
const RENDEZVOUS = [20_000, MIB, 8 * MIB];
const INTERRUPTS = 1000;
/** No body: a handler takes it by itself. */
const EMPTY = new Uint8Array(0);
/** Of messages that say how far a rank is. */
const META = 1000;

/** What handlers did in rank 1 during a check. */
interface Handled {
  readonly runs: number;
  readonly onMainThread: number;
}

/** What each rank does. Rank 0 says what it found out. */
const checks: Record<Check, readonly [() => Promise<string>, () => Promise<void>]> = {
  join: [
    async () => {
      const { value } = await heard<string>();
      const asked = process.env.CARILLON_DOORBELL ?? "auto";
      for (const found of [world.doorbell, value]) assert.ok(found === asked || asked === "auto", `rung by ${found}`);
      return `two ranks, rung by ${world.doorbell}`;
    },
    () => tell(world.doorbell),
  ],

  order: [
    async () => {
      const { count, ahead, sizes } = ORDERED;
      const sends: Promise<unknown>[] = [];
      for (let i = 0; i < count; ++i) {
        sends.push(world.send(numbered(i, ORDERED.sizes), { dest: 1, tag: tagOf(i) }));
        if (sends.length >= ahead) await sends.shift();
      }
      await Promise.all(sends);
      await heard();
      return `${count} messages of ${sizes[0]} to ${thousands(sizes.at(-1) as number)} bytes on two tags, none overtaken`;
    },
    async () => {
      const numbers = Array.from({ length: ORDERED.count }, (_, i) => i);
      const takes = async (tag: number) => {
        for (const i of numbers.filter((each) => tagOf(each) === tag)) {
          same(await world.recv({ source: 0, tag }), numbered(i, ORDERED.sizes), `message ${i}`);
        }
      };
      await Promise.all([takes(1), takes(2)]);
      await tell();
    },
  ],

  eager: [
    async () => {
      const { count, sizes } = EAGER;
      const took: number[] = [];
      for (let i = 0; i < count; ++i) {
        const body = numbered(i, sizes);
        const start = performance.now();
        await world.send(body, { dest: 1 });
        const answer = await world.recv({ source: 1 });
        if (body.byteLength === sizes[0]) took.push(performance.now() - start);
        same(answer, body, `answer ${i}`);
      }
      took.sort((one, other) => one - other);
      const median = ((took[took.length >> 1] as number) * 1000).toFixed(1);
      const most = thousands(sizes.at(-1) as number);
      return `${thousands(count)} messages of up to ${most} bytes there and back (${median} µs for ${sizes[0]})`;
    },
    async () => {
      for (let i = 0; i < EAGER.count; ++i) {
        const message = await world.recv<Uint32Array>({ source: 0 });
        same(message, numbered(i, EAGER.sizes), `message ${i}`);
        await message.reply(message.value);
      }
    },
  ],

  rendezvous: [
    async () => {
      for (const [i, size] of RENDEZVOUS.entries()) await world.send(pattern(size, i), { dest: 1 });
      await heard();
      const sizes = RENDEZVOUS.map((size) => (size < MIB ? `${thousands(size)} bytes` : `${size / MIB} MiB`));
      return `${sizes.slice(0, -1).join(", ")} and ${sizes.at(-1)}, every byte as it was sent`;
    },
    async () => {
      for (const [i, size] of RENDEZVOUS.entries()) {
        same(await world.recv({ source: 0 }), pattern(size, i), `${size} bytes`);
      }
      await tell();
    },
  ],

  "busy receiver": [
    async () => {
      await heard();
      await world.send(pattern(MIB, 3), { dest: 1, synchronous: true });
      await world.send(new Uint8Array([1]), { dest: 1, tag: 1 });
      return `1 MiB taken while JavaScript computed${by((await heard<Handled>()).value)}`;
    },
    async () => {
      const into = shared(MIB);
      const receive = world.recv({ source: 0, tag: 0, into });
      // It is sent when the large one has been taken, and this thread goes on only when it has come.
      const taken = shared(1);
      const last = world.recv({ source: 0, tag: 1, into: taken });
      const before = handled();
      await tell();
      computeUntil(taken);
      const after = handled(before);
      await last;
      same(await receive, pattern(MIB, 3), "1 MiB");
      await tell(after);
    },
  ],

  "blocked receiver": [
    async () => {
      const server = createServer();
      server.listen(`\0${DOOR}`);
      await once(server, "listening");
      await tell();
      const body = pattern(MIB, 4);
      const [socket] = (await once(server, "connection")) as [Socket];
      await once(socket, "data");
      const start = performance.now();
      await world.send(body, { dest: 1, synchronous: true });
      const took = (performance.now() - start).toFixed(1);
      socket.end("taken");
      server.close();
      await heard();
      return `1 MiB taken while JavaScript sat in spawnSync (${took} ms)`;
    },
    async () => {
      await heard();
      const receive = world.recv({ source: 0, tag: 0, into: shared(MIB) });
      // Ends when rank 0 says that the message has been taken.
      const { status, error, stderr } = spawnSync(process.execPath, ["-e", STAYS, DOOR], { encoding: "utf8" });
      assert.equal(status, 0, error?.message ?? stderr);
      same(await receive, pattern(MIB, 4), "1 MiB");
      await tell();
    },
  ],

  interrupts: [
    async () => {
      await heard();
      const interrupting = INTERRUPTING.includes(world.doorbell);
      const before = world.stats();
      const since = (name: keyof WorldStats) => world.stats()[name] - before[name];
      let sent = 0;
      for (let interrupts = 0; interrupts < INTERRUPTS && sent < mostMessages(); ++sent) {
        await world.send(EMPTY, { dest: 1, tag: 1, synchronous: true });
        if (!interrupting) continue;
        // A receiver that was still in its handler needed no interrupt: it is given the time to return.
        if (since("interrupts") === interrupts) await new Promise((resolve) => setTimeout(resolve, 1));
        interrupts = since("interrupts");
      }
      await world.send(new Uint8Array([1]), { dest: 1, tag: 2 });
      const rings = since("rings");
      const interrupts = since("interrupts");
      const { runs, onMainThread } = (await heard<Handled>()).value;
      const what = `${thousands(sent)} messages, one at a time, while JavaScript computed`;
      if (!interrupting) return `${what}: ${thousands(rings)} rings, which interrupt nobody`;
      assert.ok(interrupts >= INTERRUPTS, `${what}: ${thousands(interrupts)} interrupts only`);
      assert.ok(runs > 0, `${what}: ${thousands(interrupts)} interrupts, and no handler ran`);
      if (process.env.CARILLON_INTERRUPTS === "progress") assert.equal(onMainThread, 0, "handlers on the main thread");
      else assert.ok(onMainThread > 0, "no handler ran on the main thread");
      return `${what}: ${thousands(interrupts)} interrupts${by({ runs, onMainThread })}`;
    },
    async () => {
      const receives = Array.from({ length: mostMessages() }, () => world.recv({ source: 0, tag: 1 }));
      const told = shared(1);
      const last = world.recv({ source: 0, tag: 2, into: told });
      const before = handled();
      await tell();
      computeUntil(told);
      const after = handled(before);
      await last;
      for (const receive of receives) receive.cancel();
      await tell(after);
    },
  ],
};

/** The name of rank 0's socket, in no file system. */
const DOOR = `carillon-selftest-${process.env.CARILLON_JOB}`;
/** Says that it runs, and stays until it hears something or its partner is gone. */
const STAYS = `
  const socket = require("node:net").connect("\\0" + process.argv[1], () => socket.write("here"));
  let told = false;
  socket.on("data", () => { told = true; }).on("error", () => {}).on("close", () => process.exit(told ? 0 : 1));
`;

/** Meets the other rank. */
function tell(value: unknown = null): Promise<void> {
  return world.send(value, { dest: 1 - world.rank, tag: META });
}

function heard<T>(): Promise<Message<T>> {
  return world.recv<T>({ source: 1 - world.rank, tag: META });
}

function mostMessages(): number {
  return INTERRUPTING.includes(world.doorbell) ? 4 * INTERRUPTS : INTERRUPTS;
}

function tagOf(i: number): number {
  return 1 + (((i * 7) >> 2) & 1);
}

function numbered(i: number, sizes: readonly number[]): Uint32Array {
  return new Uint32Array((sizes[(i * 5 + (i >> 3)) % sizes.length] as number) / 4).fill(i);
}

function pattern(bytes: number, seed: number): Uint32Array {
  const words = new Uint32Array(bytes / 4);
  for (let i = 0, state = seed; i < words.length; ++i) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    words[i] = state;
  }
  return words;
}

function same(message: Message, expected: Uint32Array, what: string): void {
  assert.equal(message.byteLength, expected.byteLength, `${what}: length`);
  const bytes = Buffer.from(expected.buffer, expected.byteOffset, expected.byteLength);
  assert.ok(bytes.equals(message.data), `${what}: not what was sent`);
}

/** Memory that native code writes whatever JavaScript does. */
function shared(bytes: number): Uint8Array {
  return new Uint8Array(new SharedArrayBuffer(bytes));
}

/** Returns to the event loop only when native code has written the last byte. */
function computeUntil(into: Uint8Array): void {
  while (Atomics.load(into, into.length - 1) === 0);
}

function handled(before: Handled = { runs: 0, onMainThread: 0 }): Handled {
  const { handlerRuns, handlerRunsOnMainThread } = world.stats();
  return { runs: handlerRuns - before.runs, onMainThread: handlerRunsOnMainThread - before.onMainThread };
}

function by({ runs, onMainThread }: Handled): string {
  if (runs === 0) return "";
  const others = runs - onMainThread;
  const where = [
    onMainThread > 0 && `${others > 0 ? `${thousands(onMainThread)} ` : ""}on the main thread`,
    others > 0 && `${onMainThread > 0 ? `${thousands(others)} ` : ""}on another thread`,
  ];
  return ` (${thousands(runs)} handler ${runs === 1 ? "run" : "runs"} ${where.filter(Boolean).join(", ")})`;
}

function thousands(value: number): string {
  return value.toLocaleString("en-US");
}

function say(verdict: Verdict): void {
  process.stdout.write(`${JSON.stringify(verdict)}\n`);
}

let world: World;
let current: Check = CHECKS[0];
try {
  world = await World.join();
  for (current of CHECKS) {
    const [sender, receiver] = checks[current];
    if (world.rank === 1) await receiver();
    else say({ check: current, ok: true, detail: await sender() });
  }
  await world.close();
} catch (error) {
  const { message, code } = error as NodeJS.ErrnoException;
  say({
    check: current,
    ok: false,
    detail: `rank ${process.env.CARILLON_RANK}: ${message}${code ? ` [${code}]` : ""}`,
  });
  process.exit(1);
}
