// The doorbells as peers: the same programs of two ranks, rung each way that this build knows. One that does not work here says why.
// Beside them the bare cost of the same mechanisms in C.
import { native } from "../../src/native.js";
import type { Doorbell } from "../../src/settings.js";
import { suspended } from "../harness/busy.js";
import type { Peer } from "../harness/peer.js";
import type { LineProcess } from "../harness/process.js";
import { type Ranks, type RanksOptions, startPair, startRanks } from "./carillon.js";

export interface Bell {
  /** Its peer's name in rows and targets. */
  readonly id: string;
  readonly name: string;
  readonly kind: Exclude<Doorbell, "auto">;
  readonly env: Readonly<Record<string, string>>;
  /** Uses a processor while it waits: must be held while others are measured. */
  readonly polls: boolean;
}

const bell = (kind: Bell["kind"], name: string = kind): Bell => ({
  id: `doorbell-${kind}`,
  name,
  kind,
  env: { CARILLON_DOORBELL: kind },
  polls: kind === "poll",
});

export const BELLS: readonly Bell[] = [
  bell("eventfd"),
  bell("signal"),
  {
    ...bell("signal", "signal, to the progress thread"),
    id: "doorbell-signal-progress",
    env: { CARILLON_DOORBELL: "signal", CARILLON_INTERRUPTS: "progress" },
  },
  bell("uintr"),
  bell("uintr-simulated", "uintr (simulated over signals)"),
  bell("futex"),
  bell("poll"),
];

export const EVENTFD = "doorbell-eventfd";
export const SIGNAL = "doorbell-signal";

/** Two ranks of a program that speaks the line protocol, under this doorbell. */
export const bellPeer = (bell: Bell, program: string): Peer => ({
  id: bell.id,
  name: bell.name,
  async start(placement) {
    const session = await startPair({ ...ranksOptions(bell, program), placement });
    return bell.polls ? suspended(session) : session;
  },
});

/** @throws Error that says why this doorbell does not work here */
export function startBellRanks(bell: Bell, options: Pick<RanksOptions, "program" | "placement">): Ranks {
  return startRanks({ ...ranksOptions(bell, options.program), ...options });
}

export const pidsOf = (processes: readonly LineProcess[]): number[] => processes.map(({ pid }) => pid);

function ranksOptions({ kind, env }: Bell, program: string): RanksOptions {
  const found = native()
    .doorbells()
    .find(({ name }) => name === kind);
  if (!found?.available) throw new Error(found?.detail ?? "not in this version");
  return { size: 2, wait: "adaptive", program, env };
}
