// A job: the processes of one world, their output merged into ours, the hub told of their ends, and the way to end
// them. Reused by `carillon run` and `launch`. Not responsible for deciding when to end them or what a failure means.
import { existsSync } from "node:fs";
import type { Writable } from "node:stream";
import { CarillonError } from "../errors.js";
import { type NativeHub, prebuildPath } from "../native.js";
import type { Timeline } from "../trace/timeline.js";
import { colourEnvironment, rankEnvironment } from "./environment.js";
import { LineMerger } from "./lines.js";
import { livingGroups } from "./processes.js";
import { describeEnd, type RankEnd, RankProcess } from "./rank-process.js";

/** After SIGTERM; with what follows it, everyone is gone within two seconds. */
const KILL_AFTER_MS = 1500;
/** After SIGKILL, for output that a process outside the rank's group still holds. */
const ABANDON_AFTER_MS = 300;
/** Nobody tells us of the end of processes that are not our children; asked only while a failed job is being ended. */
const RECHECK_MS = 20;

/** Which of the launcher's own streams rank 0 uses directly. */
export interface Terminal {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** Rank 0 stays in the launcher's process group, where the terminal reaches it. */
  readonly group: boolean;
}

export interface JobOptions {
  readonly hub: Pick<NativeHub, "address" | "ended" | "aborter">;
  readonly size: number;
  /** 1 when the launching process is rank 0 itself. */
  readonly firstRank: 0 | 1;
  /** The command line of a rank. */
  words(rank: number): readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  /** What `carillon run` was told of settings, as variables. */
  readonly settings?: Readonly<Record<string, string>>;
  /** If one is recorded. */
  readonly timeline?: Timeline | undefined;
  readonly label: boolean;
  /** Each rank in a process group of its own. */
  readonly groups: boolean;
  readonly terminal?: Terminal;
  readonly stdout: Writable & { readonly isTTY?: boolean };
  readonly stderr: Writable;
  /** A rank's process has ended. */
  onRankEnded(end: RankEnd): void;
  /** … and all that it wrote has been passed on. */
  onRankClosed?(end: RankEnd): void;
  /** Nobody reads our output any more. */
  onBrokenOutput?(error: Error): void;
}

export class Job {
  /** Settles when every rank has ended and its output has been passed on. */
  readonly over: Promise<void>;
  readonly #options: JobOptions;
  readonly #ranks: RankProcess[] = [];
  readonly #stdout: LineMerger;
  readonly #stderr: LineMerger;
  #running = 0;
  #ending: NodeJS.Timeout | undefined;
  #recheck: NodeJS.Timeout | undefined;
  #killed = false;
  readonly #ended: { readonly end: RankEnd; readonly tell: () => void }[] = [];
  #settleOver: () => void = () => {};

  constructor(options: JobOptions) {
    this.#options = options;
    const onBroken = (error: Error) => options.onBrokenOutput?.(error);
    this.#stdout = new LineMerger(options.stdout, onBroken);
    this.#stderr = new LineMerger(options.stderr, onBroken);
    this.over = new Promise((resolve) => {
      this.#settleOver = resolve;
    });
  }

  /**
   * Starts every rank.
   * @throws CarillonError ERR_CARILLON_NATIVE_MISSING; whatever is thrown, ranks may have been started and must be
   * ended
   */
  start(): void {
    const { size, firstRank } = this.#options;
    const shim = prebuildPath("carillon-exec");
    try {
      if (!existsSync(shim)) {
        throw new CarillonError("ERR_CARILLON_NATIVE_MISSING", `this package is incomplete: there is no ${shim}`);
      }
      for (let rank = firstRank; rank < size; rank++) this.#start(rank);
    } finally {
      this.#checkOver();
    }
  }

  /** How it came to that: by this rank's own end, or because some rank aborted the job. */
  describe(end: RankEnd): string {
    const aborter = this.#options.hub.aborter();
    return aborter < 0 ? describeEnd(end) : `rank ${aborter} aborted the job with code ${end.code}`;
  }

  /** A line of the launcher's own on stderr, between the ranks' lines. */
  note(line: string): void {
    this.#stderr.note(`carillon: ${line}`);
  }

  /** Passes a signal on to ranks and what they started, except to a rank 0 that has it from the terminal already. */
  signal(signal: NodeJS.Signals, fromTerminal: boolean): void {
    for (const rank of this.#ranks) {
      if (!fromTerminal || !this.#isAtTerminal(rank)) rank.signal(signal);
    }
  }

  /** Passes on a signal that is no order to end, and that a rank's own children may not expect. */
  signalRanksAlone(signal: NodeJS.Signals): void {
    for (const rank of this.#ranks) rank.signalAlone(signal);
  }

  /** Asks every rank to end, with SIGTERM; those still there after a moment are killed. */
  end(): void {
    if (this.#killed || this.#ending) return;
    for (const rank of this.#ranks) rank.signal("SIGTERM");
    this.killAfter(KILL_AFTER_MS);
  }

  /** SIGKILL for everyone still there then; the first such time counts. */
  killAfter(milliseconds: number): void {
    this.#ending ??= setTimeout(() => this.kill(), milliseconds);
  }

  kill(): void {
    if (this.#killed) return;
    this.#killed = true;
    clearTimeout(this.#ending);
    for (const rank of this.#ranks) rank.signal("SIGKILL");
    this.#abandonOutput();
    this.#checkOver();
  }

  /** Whether the ranks keep this process alive. */
  ref(): void {
    for (const rank of this.#ranks) rank.ref();
  }

  unref(): void {
    for (const rank of this.#ranks) rank.unref();
  }

  /** Later, as long as our own reader is slow: what the ranks wrote before they died is still to be passed on. */
  #abandonOutput(): void {
    this.#ending = setTimeout(() => {
      if (this.#stdout.full || this.#stderr.full) this.#abandonOutput();
      else for (const rank of this.#ranks) rank.abandonOutput();
    }, ABANDON_AFTER_MS);
  }

  #isAtTerminal(rank: RankProcess): boolean {
    return rank.rank === 0 && this.#options.terminal?.group === true;
  }

  #start(rank: number): void {
    const { hub, size, settings = {}, environment, words, groups, label, stdout } = this.#options;
    const terminal = rank === 0 ? this.#options.terminal : undefined;
    const base = terminal?.stdout ? environment : { ...environment, ...colourEnvironment(stdout, environment) };
    const started = new RankProcess({
      rank,
      words: words(rank),
      environment: rankEnvironment(
        { rank, size, address: hub.address, settings, traceBuffer: this.#options.timeline?.path(rank) },
        base,
      ),
      stdio: [
        terminal?.stdin ? "inherit" : "ignore",
        terminal?.stdout ? "inherit" : "pipe",
        terminal?.stderr ? "inherit" : "pipe",
      ],
      group: groups && !terminal?.group,
    });
    this.#ranks.push(started);
    this.#running++;
    const prefix = label ? `[${rank}] ` : undefined;
    if (started.stdout) this.#stdout.add(started.stdout, prefix);
    if (started.stderr) this.#stderr.add(started.stderr, prefix);
    void this.#follow(started);
  }

  async #follow(rank: RankProcess): Promise<void> {
    const end = await rank.ended;
    this.#options.hub.ended(end.rank, end.code, end.signal);
    await this.#turn(end);
    this.#options.onRankEnded(end);
    await rank.closed;
    this.#options.onRankClosed?.(end);
    this.#running--;
    this.#checkOver();
  }

  /** Of ranks that one turn of the loop finds ended those that were killed are told first: the others may have failed because of that. */
  #turn(end: RankEnd): Promise<void> {
    return new Promise((tell) => {
      this.#ended.push({ end, tell });
      if (this.#ended.length > 1) return;
      setImmediate(() => {
        const found = this.#ended.splice(0);
        found.sort((a, b) => Number(b.end.signal !== 0) - Number(a.end.signal !== 0));
        for (const { tell } of found) tell();
      });
    });
  }

  #anyLingers(): boolean {
    let groups: ReadonlySet<number> | undefined;
    return this.#ranks.some((rank) =>
      rank.lingers(() => {
        groups ??= livingGroups();
        return groups;
      }),
    );
  }

  #checkOver(): void {
    if (this.#running > 0) return;
    // What a rank left running in its group is ended with the job; of a job that ends well it is left alone.
    if (this.#ending && !this.#killed && this.#anyLingers()) {
      this.#recheck ??= setInterval(() => this.#checkOver(), RECHECK_MS);
      return;
    }
    clearInterval(this.#recheck);
    clearTimeout(this.#ending);
    this.#settleOver();
  }
}
