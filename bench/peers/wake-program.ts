// Two ranks, and consumers in the first that are woken one message at a time, each after a pause in which everybody sleeps: how long from
// before `send` in rank 1 until the consumer runs. `wake WAY COUNT` is answered, by rank 1, with nanoseconds; the ways are those of
// `consumers`. Some are hops between threads of rank 0 that no message is part of.
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { isMainThread, type MessagePort, parentPort, Worker, workerData } from "node:worker_threads";
import { type Message, MessageQueue, World } from "carillon";
import { now } from "./clock.js";
import { Inbox } from "./inbox.js";
import { answer, onCommand } from "./serve.js";

const ORDER = 0;
const PAUSE_MS = 2;
/** A computation begins this long before a message is sent, and goes on for as long after it. */
const COMPUTE_NS = 3e6;

interface Order {
  readonly way: Way;
  readonly count: number;
}

interface Consumer {
  /** What messages to it have; undefined: it is woken by a thread of its own process. */
  readonly tag?: number;
  /** To be called before it is woken; settles with how long that took. */
  woken(): Promise<number>;
  wake?(): void;
}

/** What a hop's waker and its worker share: a word that counts, and when the last wake-up began. */
interface Hop {
  readonly word: Int32Array;
  readonly start: Float64Array;
}

/** What a worker does: it tells the main thread of each wake-up how long it took. */
type Task =
  | { readonly kind: "take" | "takeAsync"; readonly buffer: SharedArrayBuffer }
  | { readonly kind: "wait" | "waitAsync"; readonly hop: Hop }
  | { readonly kind: "port" }
  | { readonly kind: "recv"; readonly tag: number };

/** Of Atomics, since Node.js 16; TypeScript knows it from ES2024 on. */
type WaitAsync = (words: Int32Array, index: number, value: number) => { value: unknown };
const waitAsync = (Atomics as unknown as { waitAsync: WaitAsync }).waitAsync;

const consumers = {
  /** A worker that stands still in a queue's `take()`; the thread that made the queue sleeps in its loop. */
  idle: (world: World) => ofQueue(world, "take"),
  /** ... or computes. */
  computing: (world: World) => ofQueue(world, "take"),
  takeAsync: (world: World) => ofQueue(world, "takeAsync"),
  /** The main thread awaits a receive: the bell that everything of Carillon's begins with. */
  bell(world: World): Consumer {
    const tag = nextTag++;
    return {
      tag,
      async woken() {
        const { value } = await world.recv<number>({ source: 1, tag });
        return now() - value;
      },
    };
  },
  subscribe(world: World): Consumer {
    const tag = nextTag++;
    const times = new Inbox<number>();
    world.messages<number>({ source: 1, tag }).subscribe(({ value }) => times.put(now() - value));
    return { tag, woken: () => times.take() };
  },
  iterate(world: World): Consumer {
    const tag = nextTag++;
    const times = new Inbox<number>();
    (async () => {
      for await (const { value } of world.messages<number>({ source: 1, tag })) times.put(now() - value);
    })();
    return { tag, woken: () => times.take() };
  },
  /** A worker that has joined awaits a receive. */
  worker(): Promise<Consumer> {
    const tag = nextTag++;
    return inWorker({ kind: "recv", tag }, { tag });
  },
  async pool(world: World): Promise<Consumer> {
    const { ComputePool } = await import("carillon/pool");
    const tag = nextTag++;
    const filename = new URL("./wake-task.js", import.meta.url);
    const pool = new ComputePool<Message<number>, number>(world, { filename, minThreads: 1, maxThreads: 1 });
    const times = new Inbox<number>();
    (async () => {
      for await (const time of pool.map(world.messages<number>({ source: 1, tag }))) times.put(time);
    })();
    return { tag, woken: () => times.take() };
  },
  /** Without a message: Atomics.notify to a worker in Atomics.wait. */
  hop: () => ofHop("wait"),
  hopAsync: () => ofHop("waitAsync"),
  /** Without a message of Carillon's: MessagePort.postMessage to a worker. */
  port: () => inWorker({ kind: "port" }, {}, (worker) => worker.postMessage(now())),
} satisfies Record<string, (world: World) => Consumer | Promise<Consumer>>;

export type Way = keyof typeof consumers;

let nextTag = ORDER + 1;

if (isMainThread) {
  const world = await World.join();
  await (world.rank === 0 ? receiver(world) : sender(world));
} else {
  await consume(workerData as Task, parentPort as MessagePort);
}

async function ofQueue(world: World, kind: "take" | "takeAsync"): Promise<Consumer> {
  const tag = nextTag++;
  return inWorker({ kind, buffer: world.queue({ source: 1, tag }).buffer }, { tag });
}

function ofHop(kind: "wait" | "waitAsync"): Promise<Consumer> {
  const hop: Hop = {
    word: new Int32Array(new SharedArrayBuffer(4)),
    start: new Float64Array(new SharedArrayBuffer(8)),
  };
  return inWorker({ kind, hop }, {}, () => {
    hop.start[0] = now();
    Atomics.add(hop.word, 0, 1);
    Atomics.notify(hop.word, 0);
  });
}

async function inWorker(
  task: Task,
  { tag }: Pick<Consumer, "tag">,
  wake?: (worker: Worker) => void,
): Promise<Consumer> {
  const worker = new Worker(new URL(import.meta.url), { workerData: task });
  await once(worker, "message"); // it is about to wait
  return {
    ...(tag === undefined ? {} : { tag }),
    woken: async () => (await once(worker, "message"))[0],
    ...(wake ? { wake: () => wake(worker) } : {}),
  };
}

async function consume(task: Task, port: MessagePort): Promise<void> {
  port.postMessage("ready");
  const tell = (startedAt: number) => port.postMessage(now() - startedAt);
  if (task.kind === "port") {
    port.on("message", tell);
  } else if (task.kind === "recv") {
    const world = await World.join();
    for (;;) tell((await world.recv<number>({ source: 1, tag: task.tag })).value);
  } else if ("buffer" in task) {
    const queue = MessageQueue.from<number>(task.buffer);
    const next = () => (task.kind === "take" ? queue.take() : queue.takeAsync());
    for (let message = await next(); message; message = await next()) tell(message.value);
  } else {
    const { word, start } = task.hop;
    port.on("message", () => {}); // Atomics.waitAsync keeps no thread alive
    for (let last = 0; ; last++) {
      if (task.kind === "wait") Atomics.wait(word, 0, last);
      else await waitAsync(word, 0, last).value;
      tell(start[0] as number);
    }
  }
}

async function receiver(world: World): Promise<void> {
  onCommand(async () => {}); // the end of stdin ends this rank, too
  const known = new Map<Way, Consumer>();
  for (;;) {
    const { way, count } = (await world.recv<Order>({ source: 1, tag: ORDER })).value;
    const consumer = known.get(way) ?? (await consumers[way](world));
    known.set(way, consumer);
    const times: number[] = [];
    for (let i = 0; i < count; i++) {
      await world.send(consumer.tag ?? null, { dest: 1, tag: ORDER });
      const woken = consumer.woken();
      if (consumer.wake) {
        await pause(PAUSE_MS);
        consumer.wake();
      } else if (way === "computing") {
        for (const end = now() + 2 * COMPUTE_NS; now() < end; );
      }
      times.push(await woken);
    }
    await world.send(times, { dest: 1, tag: ORDER });
  }
}

async function sender(world: World): Promise<void> {
  answer("ready");
  onCommand(async ([, way, number]) => {
    const order = { way: way as Way, count: Number(number) } satisfies Order;
    await world.send(order, { dest: 0, tag: ORDER });
    for (let i = 0; i < order.count; i++) {
      const tag = (await world.recv<number | null>({ source: 0, tag: ORDER })).value;
      if (tag === null) continue;
      await pause(PAUSE_MS);
      for (const end = now() + (way === "computing" ? COMPUTE_NS - PAUSE_MS * 1e6 : 0); now() < end; );
      await world.send(now(), { dest: 0, tag });
    }
    answer(JSON.stringify((await world.recv<number[]>({ source: 0, tag: ORDER })).value));
  });
}
