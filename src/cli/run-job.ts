// `carillon run`, once its words are understood: starts the job, passes signals on, ends everyone when one fails, and
// finds the exit code. Not responsible for processes and their output (src/launcher).

import { constants } from "node:os";
import { Job, type Terminal } from "../launcher/job.js";
import type { RankEnd } from "../launcher/rank-process.js";
import type { NativeHub } from "../native.js";
import { environmentOf } from "../settings.js";
import type { Timeline } from "../trace/timeline.js";
import type { RunWords } from "./run-words.js";

/** How long ranks may take to end after a signal that asks them to. */
const GRACE_MS = 5000;
/** A second SIGINT this soon is the same key press: npm and npx pass on what the terminal has sent to all of us. */
const SAME_PRESS_MS = 200;

/** Runs a job to its end and gives the exit code. */
export async function runJob(run: RunWords, hub: NativeHub, timeline?: Timeline): Promise<number> {
  const control = new JobControl(run, hub, timeline);
  try {
    return await control.run();
  } finally {
    hub.close();
  }
}

class JobControl {
  readonly #job: Job;
  readonly #timeline: Timeline | undefined;
  readonly #terminal: boolean;
  readonly #listeners = new Map<NodeJS.Signals, () => void>();
  /** Decided by what happens first. */
  #code: number | undefined;
  /** The first rank that failed by itself. */
  #failure: RankEnd | undefined;
  #interruptedAt: number | undefined;

  constructor(run: RunWords, hub: NativeHub, timeline: Timeline | undefined) {
    this.#timeline = timeline;
    const { stdin, stdout, stderr } = process;
    this.#terminal = stdin.isTTY === true;
    const terminal: Terminal = {
      stdin: true,
      stdout: stdout.isTTY === true && !run.label,
      stderr: stderr.isTTY === true && !run.label,
      group: this.#terminal,
    };
    this.#job = new Job({
      hub,
      size: run.size,
      firstRank: 0,
      words: run.words,
      environment: process.env,
      settings: environmentOf({
        ...(run.wait && { wait: run.wait }),
        ...(run.doorbell && { doorbell: run.doorbell }),
      }),
      timeline,
      label: run.label,
      groups: true,
      terminal,
      stdout,
      stderr,
      onRankEnded: (end) => this.#ended(end),
      onRankClosed: (end) => this.#closed(end),
      onBrokenOutput: () => this.#outputBroken(),
    });
  }

  async run(): Promise<number> {
    this.#listen();
    try {
      this.#job.start();
    } catch (error) {
      this.#code ??= 1;
      this.#job.note((error as Error).message);
      this.#job.end();
    }
    await this.#job.over;
    for (const [signal, listener] of this.#listeners) process.off(signal, listener);
    for (const note of this.#timeline?.write() ?? []) this.#job.note(note);
    return this.#code ?? 0;
  }

  #ended(end: RankEnd): void {
    if (end.code === 0 && end.signal === 0) return;
    if (this.#interruptedAt !== undefined) {
      // All have been told to end. Whoever takes longer than this has not listened.
      this.#code ??= failureCode(end);
      this.#job.killAfter(GRACE_MS);
    } else {
      if (this.#code === undefined) this.#failure = end;
      this.#code ??= failureCode(end);
      this.#job.end();
    }
  }

  /** After the rank's own last words. */
  #closed(end: RankEnd): void {
    if (end === this.#failure) this.#job.note(this.#job.describe(end));
  }

  /** As a program ends that writes into a closed pipe: quietly, as if by SIGPIPE. */
  #outputBroken(): void {
    this.#code ??= 128 + constants.signals.SIGPIPE;
    this.#job.end();
  }

  #listen(): void {
    this.#on("SIGINT", () => this.#interrupt());
    this.#on("SIGQUIT", () => this.#askToEnd("SIGQUIT", this.#terminal));
    this.#on("SIGTERM", () => this.#terminate("SIGTERM"));
    this.#on("SIGHUP", () => this.#terminate("SIGHUP"));
    this.#on("SIGUSR2", () => this.#job.signalRanksAlone("SIGUSR2"));
    this.#on("SIGTSTP", () => {
      // The terminal stops its own process group only; we follow once the others have been told.
      this.#job.signal("SIGTSTP", this.#terminal);
      process.kill(process.pid, "SIGSTOP");
    });
    this.#on("SIGCONT", () => this.#job.signal("SIGCONT", false));
  }

  #on(signal: NodeJS.Signals, listener: () => void): void {
    this.#listeners.set(signal, listener);
    process.on(signal, listener);
  }

  #interrupt(): void {
    const now = performance.now();
    if (this.#interruptedAt === undefined) {
      this.#askToEnd("SIGINT", this.#terminal);
    } else if (now - this.#interruptedAt > SAME_PRESS_MS) {
      this.#code = 128 + constants.signals.SIGINT;
      this.#job.kill();
    }
  }

  #terminate(signal: "SIGTERM" | "SIGHUP"): void {
    this.#code ??= 128 + constants.signals[signal];
    this.#askToEnd(signal, false);
    this.#job.killAfter(GRACE_MS);
  }

  /** SIGINT and SIGQUIT leave the ranks the time they want, until the first of them fails. */
  #askToEnd(signal: NodeJS.Signals, fromTerminal: boolean): void {
    this.#interruptedAt ??= performance.now();
    this.#job.signal(signal, fromTerminal);
  }
}

function failureCode(end: RankEnd): number {
  return end.signal === 0 ? end.code : 128 + end.signal;
}
