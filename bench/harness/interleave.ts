// Measures several peers in one run, in turn (A B C A B C …), so that whatever happens to the machine happens to all
// of them. Responsible for warm-up, batch sizes, CPU accounting and what must be said about each; not for what a batch is (the peer knows).
import { cpuNs } from "./cpu.js";
import { Packing } from "./packing.js";
import type { Peer, Session, Workload } from "./peer.js";
import type { Placement } from "./placement.js";
import type { Context } from "./row.js";

export interface Measured {
  readonly peer: Peer;
  /** One entry per round: nanoseconds per pass of a batch that looks at the clock twice. */
  readonly batches: readonly number[];
  /** One entry per round: the times of single passes. */
  readonly each: readonly (readonly number[])[];
  /** How many passes those batches had. */
  readonly passes: number;
  /** CPU time of all the peer's processes per pass, user and system. */
  readonly cpuNsPerPass: number;
  /** CPU time used while others were measured, as a share of that time: an idle peer must not disturb them. */
  readonly idleShare: number;
  readonly unavailable?: string;
  /** What a reader must know about these figures. */
  readonly note?: string;
}

/** How long a batch and a warm-up are at least, where the beginning and the end of a batch, or code not compiled yet, would count. */
export interface Length {
  /** Passes of a batch. */
  readonly passes: number;
  /** A batch, in nanoseconds; what fills a turn if that is longer. */
  readonly batchNs: number;
  /** Of a run that is not quick, in nanoseconds. */
  readonly warmUpNs: number;
}

export interface Question {
  readonly peers: readonly Peer[];
  readonly workload: Workload;
  readonly placement: Placement;
  /** Whether single passes can be timed (there and back), or batches only (one way). */
  readonly individually: boolean;
  /** What is more than usual of it. */
  readonly length?: Partial<Length>;
}

const USUAL: Length = { passes: 8, batchNs: 0, warmUpNs: 200e6 };
/** With 80 ms, round trips of 8 bytes were told as 22 to 84 µs instead of 3: V8 had not compiled them yet. */
const WARM_UP_QUICK_NS = 250e6;
/** Of the shortest messages, a batch is shorter than it might be: what a peer queues in one batch stays bounded. */
const MAX_COUNT = 100_000;
/** ... where its length is asked for in nanoseconds. */
const MAX_LONG_COUNT = 500_000;
/** Enough single times for a p99 of a round; more would only cost memory. */
const MAX_EACH = 4_000;
/** The compilers have seen enough after so many passes, if they do not take longer than so many warm-ups. */
const WARM_UP_PASSES = 3_000;
const WARM_UP_MOST = 2.5;
/** More than this share of a core while others are measured is said. */
const DISTURBING_SHARE = 0.01;

class Turn {
  readonly batches: number[] = [];
  readonly each: number[][] = [];
  unavailable: string | undefined;
  session: Session | undefined;
  readonly length: Length;
  readonly maxCount: number;
  count = 1;
  packing: Packing | undefined;
  remark: string | undefined;
  passes = 0;
  cpu = 0;
  ownCpu = 0;
  ownWall = 0;
  cpuAtStart = 0;

  constructor(
    readonly peer: Peer,
    readonly question: Question,
  ) {
    this.length = { ...USUAL, ...question.length };
    this.maxCount = this.length.batchNs === 0 ? MAX_COUNT : MAX_LONG_COUNT;
  }

  async start(): Promise<void> {
    const reason = this.question.placement.unavailable;
    if (reason !== undefined) throw new Error(reason);
    this.session = await this.peer.start(this.question.placement);
    if (this.question.placement.id === "free") this.packing = new Packing(this.session.talkers);
  }

  /** Runs until the compilers have seen enough, and learns how many passes fill a batch. */
  async warmUp({ batchNs: turnNs, quick }: Context): Promise<void> {
    const batchNs = Math.max(turnNs, this.length.batchNs);
    const fewest = this.length.passes;
    const leastNs = quick ? WARM_UP_QUICK_NS : this.length.warmUpNs;
    let spent = 0;
    let passes = 0;
    let perPass = Number.POSITIVE_INFINITY;
    // As long as batches are short, their beginning and end are most of them, and what they say of a pass is not true.
    let filled = false;
    let count = fewest;
    await this.batch("rate", count); // loads what is loaded when it is first used, and says nothing
    while (
      spent < leastNs ||
      (passes < WARM_UP_PASSES && spent < WARM_UP_MOST * leastNs) ||
      (!filled && spent < WARM_UP_MOST * Math.max(leastNs, batchNs))
    ) {
      const { nanoseconds } = await this.batch("rate", count);
      perPass = nanoseconds / count;
      filled = nanoseconds >= batchNs / 2 || count === this.maxCount;
      spent += nanoseconds;
      passes += count;
      count = clamp(Math.round(batchNs / perPass), fewest, Math.min(count * 4, this.maxCount));
    }
    this.count = clamp(Math.round(batchNs / perPass), fewest, this.maxCount);
    if (this.question.individually) await this.batch("each", Math.min(this.count, MAX_EACH));
  }

  async measure(): Promise<void> {
    this.packing?.begin();
    try {
      await this.measureBatches();
    } finally {
      this.packing?.end();
    }
  }

  async measureBatches(): Promise<void> {
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

  async listen(): Promise<void> {
    this.remark = await this.session?.remark?.();
  }

  finish(wallNs: number): Measured {
    const idleCpu = cpuNs(this.session?.pids ?? []) - this.cpuAtStart - this.ownCpu;
    const idleShare = Math.max(0, idleCpu) / Math.max(1, wallNs - this.ownWall);
    const disturbs = `used ${Math.round(idleShare * 100)} % of a core while others were measured`;
    const note = [
      this.remark,
      this.question.placement.note,
      this.packing?.note(),
      idleShare > DISTURBING_SHARE ? disturbs : undefined,
    ]
      .filter(Boolean)
      .join("; ");
    return {
      peer: this.peer,
      batches: this.batches,
      each: this.each,
      passes: this.passes,
      cpuNsPerPass: this.cpu / this.passes,
      idleShare,
      ...(note ? { note } : {}),
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

  try {
    context.progress("starting");
    await Promise.all(turns.map((turn) => attempt(turn, () => turn.start())));
    for (const turn of turns) {
      context.progress(`warming up ${turn.peer.name}`);
      await attempt(turn, () => turn.warmUp(context));
    }
    const started = performance.now();
    for (const turn of turns) turn.beginRounds();
    for (let round = 1; round <= context.rounds; round++) {
      context.progress(`round ${round} of ${context.rounds}`);
      for (const turn of turns) await attempt(turn, () => turn.measure());
    }
    const wallNs = (performance.now() - started) * 1e6;
    const measured = turns.map((turn) => () => turn.finish(wallNs));
    for (const turn of turns) await attempt(turn, () => turn.listen());
    return measured.map((finish) => finish());
  } finally {
    await Promise.all(turns.map((turn) => turn.session?.stop()));
  }
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
