// Two threads of one process: the main thread is the initiator, a worker its partner. Named on the command line is what they talk by: a
// `message-port`, one that is given the memory of long bodies (`message-port-transfer`), a `broadcast-channel`, or `carillon`, messages of a
// rank to itself. BENCH_THREAD_CPUS says where each runs.
import { once } from "node:events";
import { BroadcastChannel, isMainThread, type MessagePort, parentPort, Worker, workerData } from "node:worker_threads";
import { Inbox } from "./inbox.js";
import { serve } from "./serve.js";
import { pinThread, threadId } from "./threads.js";
import { echoValues, overValues, type ValueLink } from "./valuelink.js";

type Kind = "message-port" | "message-port-transfer" | "broadcast-channel" | "carillon";

const kind = (isMainThread ? process.argv[2] : workerData) as Kind;

if (isMainThread) {
  pinThread(0);
  const worker = new Worker(new URL(import.meta.url), { workerData: kind });
  worker.on("exit", () => process.exit(1)); // an initiator whose partner has failed would wait for ever
  const [partner] = await once(worker, "message");
  serve(overValues(await link(worker)), [], [threadId(), partner]);
} else {
  pinThread(1);
  const port = parentPort as MessagePort;
  const ends = await link(port);
  port.postMessage(threadId());
  await echoValues(ends);
}

async function link(port: MessagePort | Worker): Promise<ValueLink> {
  const inbox = new Inbox<unknown>();
  if (kind === "carillon") return overOwnRank();
  if (kind === "broadcast-channel") {
    const channel = new BroadcastChannel("carillon-bench");
    channel.onmessage = (event) => inbox.put((event as MessageEvent).data);
    return {
      send(value) {
        channel.postMessage(value);
        return undefined;
      },
      receive: () => inbox.take(),
    };
  }
  port.on("message", (message) => inbox.put(message));
  return {
    send(value, transfer) {
      port.postMessage(value, transfer ?? []);
      return undefined;
    },
    receive: () => inbox.take(),
    transfers: kind === "message-port-transfer",
  };
}

/** A world of one: the rank sends to itself, from thread to thread. */
async function overOwnRank(): Promise<ValueLink> {
  const { World } = await import("carillon");
  const world = await World.join();
  const [there, back] = isMainThread ? [0, 1] : [1, 0];
  return {
    send: (value) => world.send(value, { dest: world.rank, tag: there }),
    receive: () => world.recv({ source: world.rank, tag: back }),
    open: (received) => (received as { value: unknown }).value,
  };
}
