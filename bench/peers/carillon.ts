// Carillon as a peer: the harness is the launcher, so that each rank can be pinned by itself. Also used by the rows that
// only Carillon answers (reaction, idle).
import { fileURLToPath } from "node:url";
import { native } from "../../src/native.js";
import type { Peer, Session } from "../harness/peer.js";
import { type Placement, pinMainThreads, placed } from "../harness/placement.js";
import { LineProcess } from "../harness/process.js";
import { openSession } from "../harness/session.js";

export type Wait = "adaptive" | "block";

export interface Ranks {
  readonly processes: readonly LineProcess[];
  stop(): Promise<void>;
}

export interface RanksOptions {
  readonly size: number;
  readonly wait: Wait;
  readonly program: string;
  /** Words after it. */
  readonly args?: readonly string[];
  readonly placement?: Placement;
  readonly env?: Readonly<Record<string, string>>;
  /** BENCH_ROLE of each rank. */
  readonly roles?: readonly string[];
}

/** Where one-way messages come from and where they are received: the `${source}-${target}` of carillon-flow-program. */
export type Memory = "shared-shared" | "allocated-shared" | "ordinary-ordinary" | "shared-ordinary" | "shared-new";

export const waitName = (wait: Wait) => (wait === "adaptive" ? "carillon" : `carillon, wait: "${wait}"`);

/** Two ranks that exchange the workloads of `program`. */
export const carillon = (wait: Wait, program = "carillon-program.js"): Peer => ({
  id: `carillon-${wait}`,
  name: waitName(wait),
  start: (placement) => startPair({ size: 2, wait, program, placement }),
});

/** The same with long bodies in memory that the other rank maps. */
export const carillonAllocated: Peer = {
  id: "carillon-allocated",
  name: "carillon, world.allocate",
  start: (placement) =>
    startPair({
      size: 2,
      wait: "adaptive",
      program: "carillon-program.js",
      placement,
      env: { BENCH_MEMORY: "allocated" },
    }),
};

/** One way, between kinds of memory; by default those that need no copy on the way. */
export const carillonFlow = (wait: Wait, memory: Memory = "shared-shared", id = `carillon-${wait}`): Peer => ({
  id,
  name: memory === "shared-shared" ? waitName(wait) : `carillon, ${MEMORY_NAMES[memory]}`,
  start: (placement) =>
    startPair({ size: 2, wait, program: "carillon-flow-program.js", placement, env: { BENCH_MEMORY: memory } }),
});

/** How short messages are taken, unless by awaited receives. */
const TAKES = {
  callback: "a standing taker's callback",
  subscribe: "world.messages().subscribe",
  iterate: "for await of world.messages()",
} as const;

/** One way, short messages taken otherwise than by awaited receives. */
export const carillonTakes = (wait: Wait, takes: keyof typeof TAKES): Peer => ({
  id: `carillon-${takes}`,
  name: `carillon, ${TAKES[takes]}`,
  start: (placement) =>
    startPair({
      size: 2,
      wait,
      program: "carillon-flow-program.js",
      placement,
      env: { BENCH_MEMORY: "shared-shared", BENCH_TAKES: takes },
    }),
});

const MEMORY_NAMES = {
  "allocated-shared": "world.allocate → shared memory",
  "ordinary-ordinary": "ordinary → ordinary memory",
  "shared-ordinary": "shared → ordinary memory",
  "shared-new": "shared → handed over",
} as const;

/** Two ranks whose first speaks the line protocol. */
export async function startPair(options: RanksOptions): Promise<Session> {
  const ranks = startRanks(options);
  const [initiator, partner] = ranks.processes as [LineProcess, LineProcess];
  const session = await openSession([initiator, partner], ranks.closeHub);
  pinMainThreads(options.placement, session.pids);
  return session;
}

/** Starts the processes of a world. @throws CarillonError if there is no native addon */
export function startRanks(options: RanksOptions): Ranks & { closeHub: () => void } {
  const { size, wait, program, placement = { id: "free", description: "" } satisfies Placement } = options;
  const hub = native().openHub(size);
  let open = true;
  const closeHub = () => {
    if (open) hub.close();
    open = false;
  };
  const path = fileURLToPath(new URL(program, import.meta.url));
  const processes = Array.from({ length: size }, (_, rank) => {
    const env = {
      ...options.env,
      BENCH_ROLE: options.roles?.[rank] ?? "",
      CARILLON_RANK: String(rank),
      CARILLON_SIZE: String(size),
      CARILLON_JOB: hub.address,
      CARILLON_WAIT: wait,
    };
    const command = placed(placement, rank === 0 ? 0 : 1, [process.execPath, path, ...(options.args ?? [])]);
    return new LineProcess(command, {
      env,
      onEnd: (code) => {
        if (open) hub.ended(rank, code ?? 0, code === null ? 9 : 0);
      },
    });
  });
  async function stop(): Promise<void> {
    await Promise.all(processes.map((process) => process.stop()));
    closeHub();
  }
  return { processes, stop, closeHub };
}
