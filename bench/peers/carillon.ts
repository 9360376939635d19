// Carillon as a peer: the harness is the launcher, so that each rank can be pinned by itself. Also used by the rows that
// only Carillon answers (reaction, idle).
import { fileURLToPath } from "node:url";
import { native } from "../../src/native.js";
import type { Peer } from "../harness/peer.js";
import { type Placement, placed } from "../harness/placement.js";
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
  readonly placement?: Placement;
  readonly env?: Readonly<Record<string, string>>;
  /** BENCH_ROLE of each rank. */
  readonly roles?: readonly string[];
}

export const carillon = (wait: Wait): Peer => ({
  id: `carillon-${wait}`,
  name: wait === "adaptive" ? "carillon" : `carillon, wait: "${wait}"`,
  async start(placement) {
    const ranks = startRanks({ size: 2, wait, program: "carillon-program.js", placement });
    const [initiator, partner] = ranks.processes as [LineProcess, LineProcess];
    return openSession([initiator, partner], ranks.closeHub);
  },
});

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
    const command = placed(placement, rank === 0 ? 0 : 1, [process.execPath, path]);
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
