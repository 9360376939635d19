// One rank's process: started through carillon-exec (so that it ends when its launcher dies), watched, signalled.
// Not responsible for what a rank's end means to the others (job.ts and its users).
import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import { once } from "node:events";
import type { Socket } from "node:net";
import { constants } from "node:os";
import type { Readable } from "node:stream";
import { prebuildPath } from "../native.js";
import { isAlive, type ProcessIdentity, processTree } from "./processes.js";

/** How a rank's process ended: code, or the signal that killed it (0 for none). */
export interface RankEnd {
  readonly rank: number;
  readonly code: number;
  readonly signal: number;
  /** It could not even be started. */
  readonly error?: Error;
}

export interface RankStart {
  readonly rank: number;
  readonly words: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  readonly stdio: StdioOptions;
  /** In a process group of its own, which is then signalled as a whole. */
  readonly group: boolean;
}

export class RankProcess {
  readonly rank: number;
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
  /** Settles when the process has ended. */
  readonly ended: Promise<RankEnd>;
  /** Settles when it has ended and nobody holds its output any more. */
  readonly closed: Promise<void>;
  readonly #child: ChildProcess;
  readonly #group: boolean;
  #end: RankEnd | undefined;
  #tree: ProcessIdentity[] = [];
  #groupGone = false;

  constructor(start: RankStart) {
    this.rank = start.rank;
    this.#group = start.group;
    const words = [String(process.pid), ...(start.group ? ["--group"] : []), "--", ...start.words];
    this.#child = spawn(prebuildPath("carillon-exec"), words, { env: start.environment, stdio: start.stdio });
    // Undefined where descriptors ran out, whatever the types say.
    this.stdout = this.#child.stdout ?? null;
    this.stderr = this.#child.stderr ?? null;
    this.ended = this.#watch();
    this.closed = this.ended.then(() => this.#drained());
  }

  get hasEnded(): boolean {
    return this.#end !== undefined;
  }

  /** Whether processes that the rank has started outlive it, as far as they can be signalled. */
  lingers(groups: () => ReadonlySet<number>): boolean {
    return this.#mayLinger() && (!this.#group || groups().has(this.#child.pid as number));
  }

  /** Signals the rank and what it has started. */
  signal(signal: NodeJS.Signals): void {
    const pid = this.#child.pid;
    if (pid === undefined || (this.hasEnded && !this.#mayLinger())) return;
    if (this.#group) {
      // Between its start and its setpgid there is no such group yet.
      if (!tryKill(-pid, signal) && !this.hasEnded) this.#child.kill(signal);
      return;
    }
    const known = this.#tree.filter(isAlive);
    const tree = this.hasEnded ? [] : processTree(pid);
    this.#tree = [...tree, ...known.filter((old) => !tree.some((each) => each.pid === old.pid))];
    for (const each of this.#tree) tryKill(each.pid, signal);
  }

  /** Signals the rank, not what it has started. */
  signalAlone(signal: NodeJS.Signals): void {
    if (!this.hasEnded) this.#child.kill(signal);
  }

  /** Stops listening to what still holds the rank's output. */
  abandonOutput(): void {
    this.stdout?.destroy();
    this.stderr?.destroy();
  }

  ref(): void {
    this.#child.ref();
    for (const stream of [this.stdout, this.stderr]) (stream as Socket | null)?.ref();
  }

  unref(): void {
    this.#child.unref();
    for (const stream of [this.stdout, this.stderr]) (stream as Socket | null)?.unref();
  }

  #watch(): Promise<RankEnd> {
    return new Promise((resolve) => {
      const finish = (end: RankEnd) => {
        if (this.#end) return;
        this.#end = end;
        // Asked at once, while the number cannot have been given to anybody else.
        if (this.#child.pid === undefined || !this.#mayLinger()) this.#groupGone = true;
        resolve(end);
      };
      this.#child.once("error", (error) => {
        if (this.#child.pid === undefined) finish({ rank: this.rank, code: 1, signal: 0, error });
      });
      this.#child.once("exit", (code, signal) => {
        finish({ rank: this.rank, code: code ?? 0, signal: signal === null ? 0 : constants.signals[signal] });
      });
    });
  }

  /** The kernel's quick answer, which counts zombies. */
  #mayLinger(): boolean {
    if (!this.hasEnded || this.#groupGone) return false;
    if (this.#group) this.#groupGone = !tryKill(-(this.#child.pid as number), 0);
    else this.#groupGone = !this.#tree.some(isAlive);
    return !this.#groupGone;
  }

  async #drained(): Promise<void> {
    const streams = [this.stdout, this.stderr].filter((stream) => stream !== null && !stream.closed);
    await Promise.all(streams.map((stream) => once(stream as Readable, "close")));
  }
}

/** "rank 2 exited with code 3" or "rank 2 was killed by SIGSEGV". */
export function describeEnd(end: RankEnd): string {
  if (end.error) return `rank ${end.rank} could not be started: ${end.error.message}`;
  if (end.signal === 0) return `rank ${end.rank} exited with code ${end.code}`;
  const name = Object.entries(constants.signals).find(([, number]) => number === end.signal)?.[0];
  return `rank ${end.rank} was killed by ${name ?? `signal ${end.signal}`}`;
}

/** False if there is nobody to signal. */
function tryKill(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
