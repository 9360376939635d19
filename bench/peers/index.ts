// The peers, each in a line: add one here and name it in rows/index.ts.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { compile } from "../harness/compile.js";
import type { Peer } from "../harness/peer.js";
import { onCpu, type Placement, pinMainThreads, placed } from "../harness/placement.js";
import { LineProcess } from "../harness/process.js";
import { openSession } from "../harness/session.js";
import { carillon, carillonFlow } from "./carillon.js";
import { mpi } from "./mpi.js";

/** Every peer of a run. `folder`: for sockets and binaries. */
export function peers(folder: string) {
  let sockets = 0;
  const address = () => `ipc://${join(folder, `zeromq-${sockets++}`)}`;
  return {
    adaptive: carillon(),
    block: carillon({ wait: "block" }),
    adaptiveAllocated: carillon({
      env: { BENCH_MEMORY: "allocated" },
      named: { id: "carillon-allocated", name: "world.allocate" },
    }),
    flow: carillonFlow(),
    flowBlock: carillonFlow({ wait: "block" }),
    callback: carillonFlow({
      takes: "callback",
      named: { id: "carillon-callback", name: "a standing taker's callback" },
    }),
    subscribe: carillonFlow({
      takes: "subscribe",
      named: { id: "carillon-subscribe", name: "world.messages().subscribe" },
    }),
    iterate: carillonFlow({
      takes: "iterate",
      named: { id: "carillon-iterate", name: "for await of world.messages()" },
    }),
    allocated: carillonFlow({
      memory: "allocated-shared",
      named: { id: "carillon-allocated", name: "world.allocate → shared memory" },
    }),
    ordinary: carillonFlow({
      memory: "ordinary-ordinary",
      named: { id: "carillon-ordinary", name: "ordinary → ordinary memory" },
    }),
    sharedToOrdinary: carillonFlow({
      memory: "shared-ordinary",
      named: { id: "carillon-shared-ordinary", name: "shared → ordinary memory" },
    }),
    handedOver: carillonFlow({
      memory: "shared-new",
      named: { id: "carillon-handed-over", name: "shared → handed over" },
    }),
    ring: carillonFlow({
      env: { CARILLON_RENDEZVOUS: "ring" },
      named: { id: "carillon-ring", name: "through the ring" },
    }),
    leased: carillonFlow({
      memory: "leased-new",
      named: { id: "carillon-leased", name: "leases (not copied)" },
    }),
    carillonThreads: threads("carillon-threads", "carillon", "threads-program.js", ["carillon"]),
    messagePort: threads("message-port", "MessagePort", "threads-program.js", ["message-port"]),
    messagePortTransfer: threads(
      "message-port-transfer",
      "MessagePort (transferred, not copied)",
      "threads-program.js",
      ["message-port-transfer"],
    ),
    broadcastChannel: threads("broadcast-channel", "BroadcastChannel", "threads-program.js", ["broadcast-channel"]),
    atomicsRing: threads("atomics-ring", "SharedArrayBuffer ring, Atomics.wait", "ring-program.js", []),
    ipcJson: node("ipc-json", "child_process IPC, json", "ipc-program.js", () => ["initiator", "json"]),
    ipcAdvanced: node("ipc-advanced", "child_process IPC, advanced", "ipc-program.js", () => ["initiator", "advanced"]),
    socket: node("unix-socket", "UNIX socket (net)", "socket-program.js", () => ["initiator"]),
    socketRaw: node("unix-socket-raw", "UNIX socket (net), unframed", "socket-raw-program.js", () => ["initiator"]),
    zeromq: node("zeromq-ipc", "zeromq ipc (pair)", "zeromq-program.js", () => ["initiator", address()]),
    eventfd: c("c-eventfd", "C eventfd + epoll", "eventfd", folder),
    spin: c("c-spin", "C spin, shared memory", "spin", folder),
    reactionEventfd: c("c-reaction-eventfd", "C eventfd, a thread in epoll answers", "reaction", folder, ["eventfd"]),
    reactionSignal: c("c-reaction-signal", "C signal, its handler answers", "reaction", folder, ["signal"]),
    mpich: mpi("mpich", folder),
    openMpi: mpi("openmpi", folder),
    memcpy: c("c-memcpy", "C memcpy, one process", "memcpy", folder),
  } as const satisfies Record<string, Peer>;
}

/** A Node.js program of this folder that starts its partner itself. */
function node(id: string, name: string, program: string, args: () => string[]): Peer {
  return {
    id,
    name,
    async start(placement) {
      const path = fileURLToPath(new URL(program, import.meta.url));
      const command = placed(placement, 0, [process.execPath, path, ...args()]);
      const session = await openSession([
        new LineProcess(command, { env: { BENCH_PARTNER_CPU: partnerCpu(placement) } }),
      ]);
      pinMainThreads(placement, session.pids);
      return session;
    },
  };
}

/** Two threads of one Node.js process: another question than two processes, for nothing keeps one from harming the other. */
function threads(id: string, name: string, program: string, args: readonly string[]): Peer {
  return {
    id,
    name: `${name}, threads of one process`,
    async start(placement) {
      const path = fileURLToPath(new URL(program, import.meta.url));
      const [one, other] = placement.cpus ?? placement.mainThreads ?? [];
      const whole = placement.id === "together" ? one : undefined;
      const env = one === undefined || whole !== undefined ? {} : { BENCH_THREAD_CPUS: `${one},${other}` };
      return openSession([new LineProcess(onCpu(whole, [process.execPath, path, ...args]), { env })]);
    },
  };
}

/** A C program of bench/native that forks its partner itself. */
function c(id: string, name: string, program: string, folder: string, words: readonly string[] = []): Peer {
  return {
    id,
    name,
    async start(placement) {
      const binary = await compile(program, folder);
      const [cpu, partner] = placement.cpus ?? placement.mainThreads ?? []; // one thread each: the main ones
      return openSession([new LineProcess(onCpu(cpu, [binary, String(partner ?? "-"), ...words]))]);
    },
  };
}

function partnerCpu(placement: Placement): string {
  return placement.cpus === undefined ? "" : String(placement.cpus[1]);
}
