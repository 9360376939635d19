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

export const waitName = (wait: Wait) => (wait === "adaptive" ? "carillon" : `carillon, wait: "${wait}"`);

/** One way of using Carillon between two ranks. */
export interface Variant {
  /** Default: as it is by default. */
  readonly wait?: Wait;
  /** Default: there and back. */
  readonly program?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** What it is called beside the others; default: how it waits. */
  readonly named?: { readonly id: string; readonly name: string };
  /** Its program knows what a reader should know of how it went. */
  readonly remarks?: boolean;
}

export function carillon({
  wait = "adaptive",
  program = "carillon-program.js",
  env = {},
  named,
  remarks,
}: Variant = {}): Peer {
  return {
    id: named?.id ?? `carillon-${wait}`,
    name: named ? `carillon, ${named.name}` : waitName(wait),
    start: (placement) => startPair({ size: 2, wait, program, placement, env }, remarks),
  };
}

/** Where one-way messages come from and where they are received: the `${source}-${target}` of carillon-flow-program. */
type Memory =
  | "shared-shared"
  | "allocated-shared"
  | "ordinary-ordinary"
  | "shared-ordinary"
  | "shared-new"
  | "leased-new";

interface Flow extends Pick<Variant, "wait" | "env" | "named"> {
  /** Default: kinds that need no copy on the way. */
  readonly memory?: Memory;
  /** How short messages are taken, unless by awaited receives. */
  readonly takes?: "callback" | "subscribe" | "iterate";
}

/** One way, as much as there is. */
export function carillonFlow({ memory = "shared-shared", takes, env, ...variant }: Flow = {}): Peer {
  const chosen = { BENCH_MEMORY: memory, ...(takes ? { BENCH_TAKES: takes } : {}), ...env };
  return carillon({ ...variant, program: "carillon-flow-program.js", env: chosen, remarks: true });
}

/** Two ranks whose first speaks the line protocol. */
export async function startPair(options: RanksOptions, remarks = false): Promise<Session> {
  const ranks = startRanks(options);
  const [initiator, partner] = ranks.processes as [LineProcess, LineProcess];
  const session = await openSession([initiator, partner], { cleanup: ranks.closeHub, remarks });
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
