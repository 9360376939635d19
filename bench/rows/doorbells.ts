// The experiment: every doorbell that works here, held against the others in the same run, for a receiver that is idle, one that computes
// in JavaScript, and one that computes where every CPU does. Not responsible for what is measured (peers/doorbell-program.ts,
// peers/slowdown-program.ts) nor for what it must show (targets/doorbells.ts).
import { hold, release, whileAllCompute } from "../harness/busy.js";
import { integer, microseconds, milliseconds, significant } from "../harness/format.js";
import { interleave } from "../harness/interleave.js";
import type { Peer, Workload } from "../harness/peer.js";
import { type Placement, placements } from "../harness/placement.js";
import type { LineProcess } from "../harness/process.js";
import type { Column, Context, Figure, Result, Row } from "../harness/row.js";
import { median } from "../harness/stats.js";
import type { Ranks } from "../peers/carillon.js";
import { BELLS, type Bell, bellPeer, EVENTFD, pidsOf, SIGNAL, startBellRanks } from "../peers/doorbells.js";
import type { Slowdown } from "../peers/slowdown-program.js";
import { IDLE_PROGRAM, waiting } from "./idle.js";
import { cost, result, times } from "./measured.js";
import { doorbellOverlaps } from "./overlap.js";

type State = "idle" | "computing" | "all-computing";

const STATES: Record<State, string> = {
  idle: "the receiver is idle",
  computing: "the receiver computes in JavaScript",
  "all-computing": "the receiver computes, and so does another process on each CPU",
};
const SIZES = [
  { label: "8B", name: "8 bytes", bytes: 8 },
  { label: "64KiB", name: "64 KiB", bytes: 65_536 },
] as const;
const REFERENCE = { peer: EVENTFD, title: "eventfd" } as const;
const SLOWDOWN_ROUNDS = 7;
/** A batch begins and ends with messages of its own, and its first ones find out that the receiver computes. */
const LEAST_PASSES = 100;

const COLUMNS: readonly Column[] = [
  { key: "medianNs", title: "p50 µs", format: microseconds },
  { key: "p10Ns", title: "p10", format: microseconds },
  { key: "p99Ns", title: "p99", format: microseconds },
  { key: "maxNs", title: "max", format: microseconds },
  { key: "cpuSecondsPerMillion", title: "CPU s/M", format: significant },
  { key: "passes", title: "passes", format: integer },
];

interface Asked {
  readonly id: string;
  readonly title: string;
  readonly about: string;
  readonly state: State;
  readonly figure?: Figure;
  readonly workload: Workload;
  readonly peers: readonly Peer[];
  /** Default: all of them. */
  readonly quickPeers?: readonly Peer[];
  readonly thorough: boolean;
}

/** @param bare the same mechanisms in C; `echo`: there and back between sleepers */
export function doorbells(bare: { echo: Peer; reaction: readonly Peer[] }): Row[] {
  const apart = placements()[0] as Placement;
  const states = Object.keys(STATES) as State[];
  const programs = BELLS.map((bell) => bellPeer(bell, "doorbell-program.js"));
  const reaction = (state: State, bytes: number): Row => {
    const what = bytes === 0 ? "an empty message, which a handler answers by itself" : `${bytes} bytes`;
    return timed(
      {
        id: `doorbell-reaction${bytes === 0 ? "-empty" : ""}/${state}`,
        title: `Reaction by doorbell: ${STATES[state]}${bytes === 0 ? ", no body" : ""}`,
        about: `${what}: posted → matched and answered natively → seen by the sender (a synchronous send, awaited), each alone; C: a word → rung → another word; senders look for 150 µs, then sleep`,
        state,
        figure: { kind: "reaction", bytes, state },
        workload: state === "idle" ? `react-idle:${bytes}` : `react-computing:${bytes}`,
        peers: [...programs, ...bare.reaction],
        quickPeers: [...programs.filter(({ id }) => id === EVENTFD || id === SIGNAL), ...bare.reaction],
        thorough: state !== "computing" || bytes === 0,
      },
      apart,
    );
  };
  const reactions = [...states.map((state) => reaction(state, 8)), reaction("computing", 0)];
  const roundTrips = SIZES.flatMap(({ label, name, bytes }) =>
    states.map((state) =>
      timed(
        {
          id: `doorbell-roundtrip-${label}/${state}`,
          title: `${name} by doorbell, there and back: ${STATES[state]}`,
          about:
            state === "idle"
              ? "both sides await Promises (C: none)"
              : "there as a message, back as the answer of native code (a synchronous send, awaited), one after the other",
          state,
          workload: state === "idle" ? `pingpong:${bytes}` : `answer:${bytes}`,
          peers: state === "idle" && bytes === 8 ? [...programs, bare.echo] : programs,
          thorough: true,
        },
        apart,
      ),
    ),
  );
  const overlapping = BELLS.map((bell) => bellPeer(bell, "carillon-program.js"));
  return [...reactions, ...roundTrips, ...doorbellOverlaps(overlapping, REFERENCE), slowdown(apart), idle()];
}

function timed(asked: Asked, placement: Placement): Row {
  const { id, title, about, state, workload, thorough } = asked;
  return {
    id,
    title,
    about: `${placement.description}; ${about}`,
    placement,
    ...(asked.figure ? { figure: asked.figure } : {}),
    columns: COLUMNS,
    headline: "medianNs",
    reference: REFERENCE,
    thorough,
    async run(context) {
      const peers = (context.quick && asked.quickPeers) || asked.peers;
      const measure = () =>
        interleave({ peers, workload, placement, individually: true, length: { passes: LEAST_PASSES } }, context);
      const measured = await (state === "all-computing" ? whileAllCompute(measure) : measure());
      return measured.map((one) => {
        const passes = one.each.flat();
        const values = { ...times(passes), ...cost(one), passes: passes.length };
        return result(one, values, one.each.map(median), context);
      });
    },
  };
}

function idle(): Row {
  const groups = BELLS.map((bell) => ({
    peer: bell.id,
    name: bell.name,
    start: () => startBellRanks(bell, { program: IDLE_PROGRAM }),
  }));
  const row = waiting("doorbell-idle", "Two ranks that wait, by doorbell", "both processes", groups);
  return { ...row, reference: REFERENCE, thorough: true };
}

function slowdown(placement: Placement): Row {
  return {
    id: "doorbell-slowdown",
    title: "What messages take from a computing receiver, by doorbell",
    about: `${placement.description}; a fixed computation beside 64 B messages to posted receives, less the same without; singly: each after the last was matched; CPU: the receiver's processor time, which others on this machine do not lengthen`,
    placement,
    columns: [
      { key: "singlySecondsPerMillion", title: "singly s/M", format: significant },
      { key: "singlyCpuSecondsPerMillion", title: "CPU", format: significant },
      { key: "singlyRings", title: "rings each", format: significant },
      { key: "streamSecondsPerMillion", title: "stream s/M", format: significant },
      { key: "streamCpuSecondsPerMillion", title: "CPU", format: significant },
      { key: "streamRings", title: "rings each", format: significant },
      { key: "noneNs", title: "alone ms", format: milliseconds },
    ],
    headline: "singlyCpuSecondsPerMillion",
    reference: REFERENCE,
    thorough: true,
    async run(context) {
      const turns = BELLS.map((bell) => new SlowdownTurn(bell));
      try {
        await Promise.all(turns.map((turn) => turn.start(placement)));
        const rounds = Math.min(context.rounds, SLOWDOWN_ROUNDS);
        for (let round = 0; round <= rounds; round++) {
          context.progress(round === 0 ? "warming up" : `round ${round} of ${rounds}`);
          for (const turn of turns) await turn.measure(round > 0);
        }
        return turns.map((turn) => turn.result(context));
      } finally {
        await Promise.all(turns.map((turn) => turn.stop()));
      }
    },
  };
}

/** Without messages before and after: what the machine does meanwhile changes both. */
interface SlowdownRound {
  readonly none: Slowdown;
  readonly singly: Slowdown;
  readonly stream: Slowdown;
  readonly again: Slowdown;
}

/** One doorbell's way through the slow-down row. */
class SlowdownTurn {
  #ranks: Ranks | undefined;
  #unavailable: string | undefined;
  readonly #measured: SlowdownRound[] = [];

  constructor(readonly bell: Bell) {}

  start(placement: Placement): Promise<void> {
    return this.#attempt(async () => {
      if (placement.unavailable !== undefined) throw new Error(placement.unavailable);
      this.#ranks = startBellRanks(this.bell, { program: "slowdown-program.js", placement });
      await Promise.all(this.#ranks.processes.map((process) => process.line()));
      this.#hold();
    });
  }

  measure(counts: boolean): Promise<void> {
    return this.#attempt(async () => {
      const sender = this.#ranks?.processes[0] as LineProcess;
      this.#release();
      const ask = async (mode: string): Promise<Slowdown> => JSON.parse(await sender.ask(mode));
      const none = await ask("none");
      const measured = { none, singly: await ask("singly"), stream: await ask("stream"), again: await ask("none") };
      this.#hold();
      if (counts) this.#measured.push(measured);
    });
  }

  result(context: Context): Result {
    const { id: peer, name } = this.bell;
    if (this.#unavailable !== undefined) return { peer, name, unavailable: this.#unavailable };
    const of = (value: (round: SlowdownRound) => number) => median(this.#measured.map(value));
    // Nanoseconds per message are thousandths of seconds per million.
    const extraOf = (round: SlowdownRound, mode: "singly" | "stream", clock: "wallNs" | "cpuNs") =>
      (round[mode][clock] - (round.none[clock] + round.again[clock]) / 2) / round[mode].messages / 1e3;
    const extra = (mode: "singly" | "stream", clock: "wallNs" | "cpuNs") => of((round) => extraOf(round, mode, clock));
    const per = (mode: "singly" | "stream", what: "rings" | "handlerRuns") =>
      of((round) => round[mode][what] / round[mode].messages);
    const values: Record<string, number> = { noneNs: of(({ none }) => none.wallNs), rounds: context.rounds };
    for (const mode of ["singly", "stream"] as const) {
      values[`${mode}SecondsPerMillion`] = extra(mode, "wallNs");
      values[`${mode}CpuSecondsPerMillion`] = extra(mode, "cpuNs");
      values[`${mode}Rings`] = per(mode, "rings");
      values[`${mode}HandlerRuns`] = per(mode, "handlerRuns");
      values[`${mode}Messages`] = of((round) => round[mode].messages);
    }
    return { peer, name, values, rounds: this.#measured.map((round) => extraOf(round, "singly", "cpuNs")) };
  }

  async stop(): Promise<void> {
    this.#release();
    await this.#ranks?.stop();
  }

  #hold(): void {
    if (this.bell.polls) hold(pidsOf(this.#ranks?.processes ?? []));
  }

  #release(): void {
    if (this.bell.polls) release(pidsOf(this.#ranks?.processes ?? []));
  }

  async #attempt(step: () => Promise<void>): Promise<void> {
    if (this.#unavailable !== undefined) return;
    try {
      await step();
    } catch (error) {
      this.#unavailable = (error as Error).message;
      await this.#ranks?.stop().catch(() => {});
    }
  }
}
