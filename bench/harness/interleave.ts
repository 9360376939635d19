// Measures several peers in one run, in turn (A B C A B C …), so that whatever happens to the machine happens to all
// of them. Responsible for warm-up, batch sizes and CPU accounting; not for what a batch is (the peer knows).
import { cpuNs } from "./cpu.js";
import type { Peer, Session, Workload } from "./peer.js";
import type { Placement } from "./placement.js";
import type { Context } from "./row.js";

export interface Measured {
  readonly peer: Peer;
  /** One entry per round: nanoseconds per pass of a batch that looks at the clock twice. */
  readonly batches: readonly number[];
  /** One entry per round: the times of single passes. */
  readonly each: readonly (readonly number[])[];
  /** CPU time of all the peer's processes per pass, user and system. */
  readonly cpuNsPerPass: number;
  /** CPU time used while others were measured, as a share of that time: an idle peer must not disturb them. */
  readonly idleShare: number;
  readonly unavailable?: string;
}

export interface Question {
  readonly peers: readonly Peer[];
  readonly workload: Workload;
  readonly placement: Placement;
  /** Whether single passes can be timed (there and back), or batches only (one way). */
  readonly individually: boolean;
  /** Where a batch must be longer than its turn would be, so that its beginning and end do not count: passes, or nanoseconds. */
  readonly minCount?: number;
  readonly minNs?: number;
  /** How long a thorough run warms up at least, where the usual time is too short for what is called some thousand times a second. */
  readonly warmUpNs?: number;
}

const MIN_COUNT = 8;
/** Of the shortest messages, a batch is shorter than it might be: what a peer queues in one batch stays bounded. */
const MAX_COUNT = 100_000;
/** ... where its length is asked for in nanoseconds. */
const MAX_LONG_COUNT = 500_000;
/** Enough single times for a p99 of a round; more would only cost memory. */
const MAX_EACH = 4_000;
const WARM_UP_PASSES = 3_000;
const WARM_UP_MIN_NS = 200e6;
const WARM_UP_MAX_NS = 500e6;

class Turn {
  readonly batches: number[] = [];
  readonly each: number[][] = [];
  unavailable: string | undefined;
  session: Session | undefined;
  readonly minCount: number;
  readonly maxCount: number;
  count = MIN_COUNT;
  passes = 0;
  cpu = 0;
  ownCpu = 0;
  ownWall = 0;
  cpuAtStart = 0;

  constructor(
    readonly peer: Peer,
    readonly question: Question,
  ) {
    this.minCount = question.minCount ?? MIN_COUNT;
    this.maxCount = question.minNs === undefined ? MAX_COUNT : MAX_LONG_COUNT;
  }

  async start(): Promise<void> {
    const reason = this.question.placement.unavailable;
    if (reason !== undefined) throw new Error(reason);
    this.session = await this.peer.start(this.question.placement);
  }

  /** Runs until the compilers have seen enough, and learns how many passes fill a batch. */
  async warmUp(turnNs: number, leastNs: number): Promise<void> {
    const batchNs = Math.max(turnNs, this.question.minNs ?? 0);
    let spent = 0;
    let passes = 0;
    let perPass = Number.POSITIVE_INFINITY;
    let count = this.minCount;
    while (spent < leastNs || (passes < WARM_UP_PASSES && spent < WARM_UP_MAX_NS)) {
      const { nanoseconds } = await this.batch("rate", count);
      perPass = nanoseconds / count;
      spent += nanoseconds;
      passes += count;
      count = clamp(Math.round(batchNs / perPass), this.minCount, Math.min(count * 4, this.maxCount));
    }
    this.count = clamp(Math.round(batchNs / perPass), this.minCount, this.maxCount);
    if (this.question.individually) await this.batch("each", Math.min(this.count, MAX_EACH));
  }

  async measure(): Promise<void> {
    const { nanoseconds, cpu } = await this.batch("rate", this.count);
    this.batches.push(nanoseconds / this.count);
    this.cpu += cpu;
    this.passes += this.count;
    if (!this.question.individually) return;
    const { each } = await this.batch("each", Math.min(this.count, MAX_EACH));
    this.each.push(each);
  }

  async batch(mode: "rate" | "each", count: number): Promise<{ nanoseconds: number; each: number[]; cpu: number }> {
    const session = this.session as Session;
    const before = cpuNs(session.pids);
    const started = performance.now();
    const sample = await session.measure({ workload: this.question.workload, mode, count });
    const wall = (performance.now() - started) * 1e6;
    const cpu = cpuNs(session.pids) - before;
    this.ownCpu += cpu;
    this.ownWall += wall;
    return { nanoseconds: sample.nanoseconds, each: [...sample.each], cpu };
  }

  beginRounds(): void {
    this.ownCpu = 0;
    this.ownWall = 0;
    this.cpuAtStart = cpuNs(this.session?.pids ?? []);
  }

  finish(wallNs: number): Measured {
    const idleCpu = cpuNs(this.session?.pids ?? []) - this.cpuAtStart - this.ownCpu;
    return {
      peer: this.peer,
      batches: this.batches,
      each: this.each,
      cpuNsPerPass: this.cpu / this.passes,
      idleShare: Math.max(0, idleCpu) / Math.max(1, wallNs - this.ownWall),
      ...(this.unavailable === undefined ? {} : { unavailable: this.unavailable }),
    };
  }
}

export async function interleave(question: Question, context: Context): Promise<Measured[]> {
  const turns = question.peers.map((peer) => new Turn(peer, question));
  /** One peer's failure is its own row's news and nobody else's. */
  async function attempt(turn: Turn, step: () => Promise<void>): Promise<void> {
    if (turn.unavailable !== undefined) return;
    try {
      await step();
    } catch (error) {
      turn.unavailable = (error as Error).message;
    }
  }

  const warmUpNs = Math.max(WARM_UP_MIN_NS, (!context.quick && question.warmUpNs) || 0);
  try {
    context.progress("starting");
    await Promise.all(turns.map((turn) => attempt(turn, () => turn.start())));
    for (const turn of turns) {
      context.progress(`warming up ${turn.peer.name}`);
      await attempt(turn, () => turn.warmUp(context.batchNs, warmUpNs));
    }
    const started = performance.now();
    for (const turn of turns) turn.beginRounds();
    for (let round = 1; round <= context.rounds; round++) {
      context.progress(`round ${round} of ${context.rounds}`);
      for (const turn of turns) await attempt(turn, () => turn.measure());
    }
    const wallNs = (performance.now() - started) * 1e6;
    return turns.map((turn) => turn.finish(wallNs));
  } finally {
    await Promise.all(turns.map((turn) => turn.session?.stop()));
  }
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
