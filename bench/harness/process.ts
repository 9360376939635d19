// A process under measurement that is spoken to in lines: a command on its stdin, an answer on its stdout. Quiet in
// between (a pipe nobody writes to costs nothing). Responsible for its end, whatever happens to the harness.
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** An answer that takes longer than this is a failure that the row reports. */
const PATIENCE_MS = 60_000;
const running = new Set<ChildProcess>();

// Children end when their stdin closes; one that hangs does not outlive the harness either.
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export interface LineProcessOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Told once, when the process has ended. */
  readonly onEnd?: (code: number | null, signal: NodeJS.Signals | null) => void;
}

export class LineProcess {
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  readonly #ended: Promise<void>;
  #waiting: { resolve: (line: string) => void; reject: (reason: Error) => void } | undefined;
  #failure: Error | undefined;
  #stderr = "";

  constructor(command: readonly string[], options: LineProcessOptions = {}) {
    const [file, ...args] = command as [string, ...string[]];
    const child = spawn(file, args, { env: { ...process.env, ...options.env }, stdio: ["pipe", "pipe", "pipe"] });
    this.#child = child;
    running.add(child);
    createInterface({ input: child.stdout }).on("line", (line) => this.#take(line));
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-16_384);
    });
    child.stdin.on("error", () => {}); // EPIPE: the end is reported by "close"
    this.#ended = new Promise((resolve) => {
      child.on("error", (error) => {
        this.#fail(new Error(`${file} cannot be started: ${error.message}`));
        running.delete(child);
        resolve();
      });
      child.on("close", (code, signal) => {
        running.delete(child);
        this.#fail(new Error(`ended ${signal ? `by ${signal}` : `with code ${code}`}${this.#lastWords()}`));
        options.onEnd?.(code, signal);
        resolve();
      });
    });
  }

  /** The process itself: taskset replaces itself by the command it pins. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  write(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  /** The next line. @throws Error if the process fails, ends, or is silent for too long */
  async line(): Promise<string> {
    const line = this.#lines.shift() ?? (await this.#next());
    if (line.startsWith("failed ")) throw new Error(line.slice("failed ".length));
    return line;
  }

  async ask(line: string): Promise<string> {
    this.write(line);
    return this.line();
  }

  async stop(): Promise<void> {
    this.#child.stdin?.end();
    const kill = setTimeout(() => this.#child.kill("SIGKILL"), 1_000);
    await this.#ended;
    clearTimeout(kill);
  }

  #next(): Promise<string> {
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        this.#fail(new Error(`no answer within ${PATIENCE_MS / 1000} s${this.#lastWords()}`));
      }, PATIENCE_MS);
      this.#waiting = {
        resolve: (line) => {
          clearTimeout(late);
          resolve(line);
        },
        reject: (reason) => {
          clearTimeout(late);
          reject(reason);
        },
      };
    });
  }

  #take(line: string): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting) waiting.resolve(line);
    else this.#lines.push(line);
  }

  #fail(reason: Error): void {
    this.#failure ??= reason;
    this.#waiting?.reject(this.#failure);
    this.#waiting = undefined;
  }

  /** The line of stderr that names the error, or the last one that has a word in it. */
  #lastWords(): string {
    const lines = this.#stderr.split("\n").filter((line) => /\w/.test(line));
    const words = lines.find((line) => /^\w*Error\b/.test(line)) ?? lines.at(-1);
    return words === undefined ? "" : `: ${words.trim()}`;
  }
}
