// The peers, each in a line: add one here and name it in rows/index.ts.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { compile } from "../harness/compile.js";
import type { Peer } from "../harness/peer.js";
import { type Placement, pinMainThreads, placed } from "../harness/placement.js";
import { LineProcess } from "../harness/process.js";
import { openSession } from "../harness/session.js";
import { carillon, carillonAllocated, carillonFlow, carillonTakes } from "./carillon.js";
import { mpi } from "./mpi.js";

/** Every peer of a run. `folder`: for sockets and binaries. */
export function peers(folder: string) {
  let sockets = 0;
  const address = () => `ipc://${join(folder, `zeromq-${sockets++}`)}`;
  return {
    adaptive: carillon("adaptive"),
    adaptiveAllocated: carillonAllocated,
    block: carillon("block"),
    flow: carillonFlow("adaptive"),
    flowBlock: carillonFlow("block"),
    callback: carillonTakes("adaptive", "callback"),
    subscribe: carillonTakes("adaptive", "subscribe"),
    iterate: carillonTakes("adaptive", "iterate"),
    allocated: carillonFlow("adaptive", "allocated-shared", "carillon-allocated"),
    ordinary: carillonFlow("adaptive", "ordinary-ordinary", "carillon-ordinary"),
    sharedToOrdinary: carillonFlow("adaptive", "shared-ordinary", "carillon-shared-ordinary"),
    handedOver: carillonFlow("adaptive", "shared-new", "carillon-handed-over"),
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

/** A C program of bench/native that forks its partner itself. */
function c(id: string, name: string, program: string, folder: string, words: readonly string[] = []): Peer {
  return {
    id,
    name,
    async start(placement) {
      const binary = await compile(program, folder);
      return openSession([new LineProcess(placed(placement, 0, [binary, partnerCpu(placement) || "-", ...words]))]);
    },
  };
}

function partnerCpu(placement: Placement): string {
  return placement.cpus === undefined ? "" : String(placement.cpus[1]);
}
