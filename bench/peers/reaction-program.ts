// One of two processes that show how late a message is when its receiver's JavaScript computes: the sender measures how
// long `await send` of 1 MiB takes, the receiver computes for a second in a timer or socket callback meanwhile.
// Driven line by line by rows/reaction.ts. BENCH_LINK says what carries the message: carillon or a UNIX socket.
import { writeSync } from "node:fs";
import { createConnection, createServer, type Socket } from "node:net";
import { now } from "./clock.js";
import { Inbox } from "./inbox.js";
import { MEBIBYTE } from "./payload.js";
import { answer, onCommand } from "./serve.js";
import { socketLink } from "./socket-link.js";

const COMPUTE_NS = 1e9;
const CHAT = 1;
const CHAT_ROUNDS = 50;
/** Other work of the receiver's loop arrives here. */
const nudgePath = process.env.BENCH_NUDGE as string;
const linkPath = process.env.BENCH_LINK_PATH as string;

/** How 1 MiB gets from the sender to the receiver. */
interface Link {
  /** Settles when the receiver has the bytes. */
  send(block: Uint8Array): Promise<unknown>;
  /** Takes the next block into memory that was ready before; to be called before the sender sends. */
  receive(): Promise<Uint8Array>;
  /** Short messages there and back, so that the receiver expects more and waits for them as it likes best. */
  chat(): Promise<void>;
}

if (process.env.BENCH_ROLE === "receiver") await receiver();
else await sender();

async function receiver(): Promise<void> {
  const link = await openLink();
  const computed = new Inbox<string>();
  /** Computes for a second; nothing of Node.js runs in this thread meanwhile. */
  function compute(announce?: string): void {
    const start = now();
    if (announce !== undefined) writeSync(1, announce); // not by a stream: it must be out before the computation ends
    let end = start;
    for (let x = 1; end - start < COMPUTE_NS; end = now()) for (let i = 0; i < 1e4; i++) x = Math.sqrt(x + i);
    computed.put(`${start} ${end}`);
  }
  createServer((other) => other.on("data", () => compute())).listen(nudgePath, () => answer("ready"));

  onCommand(async ([where, fill]) => {
    const received = link.receive();
    if (where === "timer") {
      setTimeout(() => compute("computing\n"), 5);
    } else {
      answer("armed");
    }
    const interval = await computed.take();
    const block = await received;
    if (block[0] !== Number(fill) || block.at(-1) !== Number(fill)) throw new Error("other bytes came than were sent");
    answer(interval);
  });
}

async function sender(): Promise<void> {
  const link = await openLink();
  const block = new Uint8Array(MEBIBYTE);
  let nudge: Socket;

  // FIRST is what goes first, the nudge or the message; the other one follows after DELAY nanoseconds.
  onCommand(async ([how, fill, chat, first, delay]) => {
    if (how === "connect") {
      nudge = createConnection(nudgePath, () => answer("connected"));
      return;
    }
    block.fill(Number(fill));
    if (chat === "chat") await link.chat();
    if (first === "nudge") {
      nudge.write("x");
      for (const begin = now(); now() - begin < Number(delay); );
    }
    const start = now();
    const sent = link.send(block);
    if (first === "message") nudge.write("x");
    await sent;
    answer(`${start} ${now()}`);
  });
}

function openLink(): Promise<Link> {
  return process.env.BENCH_LINK === "carillon" ? carillonLink() : unixLink();
}

async function carillonLink(): Promise<Link> {
  const { World } = await import("carillon"); // the UNIX socket is measured where there is no Carillon, too
  const world = await World.join();
  const into = new Uint8Array(new SharedArrayBuffer(MEBIBYTE));
  async function echo(): Promise<never> {
    for (;;) {
      const message = await world.recv({ source: 0, tag: CHAT });
      await world.send(message.value, { dest: 0, tag: CHAT });
    }
  }
  if (world.rank === 1) echo();
  return {
    async chat() {
      for (let i = 0; i < CHAT_ROUNDS; i++) {
        await world.send(i, { dest: 1, tag: CHAT });
        await world.recv({ source: 1, tag: CHAT });
      }
    },
    send: (block) => world.send(block, { dest: 1 }),
    receive: async () => {
      await world.recv({ source: 0, tag: 0, into });
      return into;
    },
  };
}

/** The receiver answers each block with one byte: that is when a sender can know. */
async function unixLink(): Promise<Link> {
  const socket = await new Promise<Socket>((resolve) => {
    if (process.env.BENCH_ROLE === "receiver") createServer(resolve).listen(linkPath, () => answer("listening"));
    else {
      const connection = createConnection(linkPath, () => resolve(connection));
    }
  });
  const link = socketLink(socket);
  return {
    chat: async () => {},
    send: async (block) => {
      await link.send(block);
      await link.receive();
    },
    receive: async () => {
      const block = await link.receive();
      await link.send(new Uint8Array(1));
      return block;
    },
  };
}
