// Starts the ranks of one world as real processes, each of its own, so that a test can talk to, stop or kill any of them.
// Responsible for meeting (a hub in this process), for collecting what ranks say, for a bounded wait that tells what
// everybody said, for worlds that many scenarios share, and for leaving no process behind; not for what `carillon run`
// adds (test/cli).
import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, expect } from "vitest";
import { type NativeHub, native } from "../../dist/src/native.js";

/** Only ends what hangs: nothing a test expects depends on it. */
const HANGS_AFTER_MS = 50_000;

export interface RankOptions {
  /** Added to every rank's environment; undefined removes. */
  env?: Record<string, string | undefined>;
  /** Node's own options, before the program. */
  execArgv?: string[];
  /** Ranks that are not started. */
  absent?: number[];
  /** For jobs of many ranks: so many milliseconds are no hang yet. */
  patience?: number;
}

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stderr: string;
}

/** What a rank said: a line of JSON. */
export type Said = Record<string, unknown>;

export class RankProcess {
  readonly said: Said[] = [];
  readonly ended: Promise<Ended>;
  readonly #child: ChildProcess;
  readonly #listeners = new Set<() => void>();
  #stderr = "";
  #end: Ended | undefined;

  constructor(
    readonly rank: number,
    words: string[],
    env: NodeJS.ProcessEnv,
    onExit: (code: number, signal: number) => void,
  ) {
    this.#child = spawn(process.execPath, words, { env, stdio: "pipe" });
    const { stdin, stdout, stderr } = this.#child;
    stdin?.on("error", () => {});
    stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr += text;
    });
    createInterface({ input: stdout as NodeJS.ReadableStream }).on("line", (line) => {
      this.said.push(line.startsWith("{") ? JSON.parse(line) : { line });
      for (const listener of this.#listeners) listener();
    });
    this.#child.once("exit", (code, signal) => onExit(code ?? 0, signal ? constants.signals[signal] : 0));
    this.ended = new Promise((resolve) => {
      this.#child.once("close", (code, signal) => {
        this.#end = { code, signal, stderr: this.#stderr };
        resolve(this.#end);
        for (const listener of this.#listeners) listener();
      });
    });
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /** The first thing it said that has this key; rejects if it ends without saying so. */
  hears(key: string): Promise<Said> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = this.said.find((each) => key in each);
        if (!found && !this.#end) return;
        this.#listeners.delete(look);
        if (found) resolve(found);
        else reject(new Error(`rank ${this.rank} ended without saying ${key}\n${this.describe()}`));
      };
      this.#listeners.add(look);
      look();
    });
  }

  /** One line on its stdin. */
  tell(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  kill(signal: NodeJS.Signals = "SIGKILL"): void {
    if (!this.#end) this.#child.kill(signal);
  }

  describe(): string {
    const end = this.#end ? `ended: code ${this.#end.code}, signal ${this.#end.signal}` : "still runs";
    const said = this.said.map((each) => `  ${JSON.stringify(each)}`).slice(-20);
    return [`rank ${this.rank} ${end}`, ...said, this.#stderr.slice(-4000)].join("\n");
  }
}

export class Ranks {
  readonly hub: NativeHub;
  readonly all: RankProcess[] = [];
  readonly address: string;
  readonly #patience: number;

  constructor(
    readonly size: number,
    program: string,
    words: string[],
    options: RankOptions,
  ) {
    this.hub = native().openHub(size);
    this.#patience = options.patience ?? HANGS_AFTER_MS;
    this.address = this.hub.address;
    const path = fileURLToPath(new URL(`../programs/${program}`, import.meta.url));
    for (let rank = 0; rank < size; ++rank) {
      if (options.absent?.includes(rank)) continue;
      const identity = { CARILLON_RANK: String(rank), CARILLON_SIZE: String(size), CARILLON_JOB: this.address };
      const env = { ...process.env, NODE_OPTIONS: "", ...identity, ...options.env };
      const started = new RankProcess(rank, [...(options.execArgv ?? []), path, ...words], env, (code, signal) =>
        this.hub.ended(rank, code, signal),
      );
      this.all.push(started);
    }
  }

  at(rank: number): RankProcess {
    const found = this.all.find((each) => each.rank === rank);
    if (!found) throw new Error(`rank ${rank} was not started`);
    return found;
  }

  /** Waits for what a test waits for, and says what everybody said when it does not come. */
  async wait<T>(promise: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`this hangs:\n${this.describe()}`)), this.#patience);
    });
    try {
      return await Promise.race([promise, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** How every rank ended. */
  ended(): Promise<Ended[]> {
    return this.wait(Promise.all(this.all.map((each) => each.ended)));
  }

  /** Every rank ended well, but for those named. */
  async endedWell(...but: number[]): Promise<void> {
    await this.ended();
    for (const each of this.all) {
      if (but.includes(each.rank)) continue;
      const { code, signal } = await each.ended;
      expect({ code, signal }, this.describe()).toEqual({ code: 0, signal: null });
    }
  }

  describe(): string {
    return this.all.map((each) => each.describe()).join("\n");
  }

  async end(): Promise<void> {
    for (const each of this.all) each.kill();
    await Promise.all(this.all.map((each) => each.ended));
    this.hub.close();
  }
}

let running: Ranks[] = [];

afterEach(async () => {
  const all = running;
  running = [];
  await Promise.all(all.map((each) => each.end()));
});

/** Starts `program` (in test/programs) as every rank of a world of `size`. */
export function ranks(size: number, program: string, words: string[] = [], options: RankOptions = {}): Ranks {
  const job = new Ranks(size, program, words, options);
  running.push(job);
  return job;
}

/** Starts `program` outside any world: alone it is a world of one. */
export function alone(program: string, words: string[] = [], options: RankOptions = {}): Ranks {
  const unset = { CARILLON_RANK: undefined, CARILLON_SIZE: undefined, CARILLON_JOB: undefined };
  return ranks(1, program, words, { ...options, env: { ...unset, ...options.env } });
}

/** Plays one scenario of a program to its end, in which every rank must end well. */
export async function plays(size: number, program: string, ...words: string[]): Promise<void> {
  const job = size === 1 ? alone(program, words) : ranks(size, program, words);
  await job.endedWell();
}

/** The worlds of this file that play one scenario after the other: started by the first, closed after the last. */
const shared = new Map<string, Ranks>();

/** Tells all ranks to do this, and waits until all have done it. */
async function all(job: Ranks, order: object): Promise<void> {
  const number = ++orders;
  for (const each of job.all) each.tell(JSON.stringify({ number, ...order }));
  try {
    await job.wait(Promise.all(job.all.map((each) => each.hears(`done ${number}`))));
  } catch (error) {
    // Whose failure it was may be known only when all have ended.
    await closes(job);
    throw error;
  }
}
let orders = 0;

async function closes(job: Ranks): Promise<void> {
  for (const each of job.all) each.tell(JSON.stringify({ close: true }));
  await job.endedWell();
}

/**
 * Plays one scenario of a program as `plays` does, in a world that goes on with the file's next one of the same size: for
 * scenarios that neither close it nor ask what their process has done before. One that fails takes its world with it, and
 * what comes next gets another.
 */
export async function shares(size: number, program: string, words: string[], options: RankOptions = {}): Promise<void> {
  const key = JSON.stringify([size, program, options]);
  let job = shared.get(key);
  if (!job) {
    const unset = { CARILLON_RANK: undefined, CARILLON_SIZE: undefined, CARILLON_JOB: undefined };
    const env = { ...(size === 1 ? unset : {}), ...options.env };
    job = new Ranks(size, program, ["in turn"], { ...options, env });
    shared.set(key, job);
  }
  try {
    await all(job, { play: words });
    // What nobody received is gone before anybody goes on.
    await all(job, { clear: true });
  } catch (error) {
    shared.delete(key);
    await job.end();
    throw error;
  }
}

afterAll(async () => {
  const jobs = [...shared.values()];
  shared.clear();
  try {
    for (const job of jobs) await closes(job);
  } finally {
    await Promise.all(jobs.map((job) => job.end()));
  }
});
