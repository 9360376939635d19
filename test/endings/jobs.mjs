// A job: a hub in this process, and the ranks that meet there, each a process; what they say, when, and how they end.
// Responsible for leaving no process behind, and for saying what was when nothing happens any more; not for what is expected.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { native } from "../../dist/src/native.js";

/** ms that an end may take, on a machine that has nothing else to do. */
export const HANG = 2000;

/**
 * Node.js 20 forgets a thread that is terminated before its optimizing compiler has stopped, and aborts if that allocates just then: code is
 * optimized on the thread itself.
 */
const OPTIONS = ["--expose-gc", "--no-concurrent-recompilation"];

/** ms without a word from anybody. Only ends what hangs. */
const SILENCE = 60_000;

/** ms on the clock that all processes share. */
export const clock = () => Number(process.hrtime.bigint()) / 1e6;

const running = new Set();
process.on("exit", () => {
  for (const job of running) job.kill();
});

/**
 * Runs `program` as `size` ranks to their ends: of each what it said, its code and signal, when it ended, and what it wrote to stderr. And how
 * many times slower than alone everything was, measured while they talked.
 */
export function run(size, program, words) {
  const hub = native().openHub(size);
  const path = fileURLToPath(new URL(program, import.meta.url));
  const ranks = [];
  const job = {
    kill() {
      for (const each of ranks) if (each.at === undefined) each.child.kill("SIGKILL");
    },
  };
  running.add(job);
  return new Promise((resolve) => {
    let watchdog;
    let hung = false;
    let slower;
    const heard = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => {
        hung = true;
        for (const each of ranks) if (each.at === undefined) each.hung = true;
        job.kill();
      }, SILENCE);
    };
    heard();
    let left = size;
    for (let rank = 0; rank < size; ++rank) {
      const identity = { CARILLON_RANK: String(rank), CARILLON_SIZE: String(size), CARILLON_JOB: hub.address };
      const child = spawn(process.execPath, [...OPTIONS, path, ...words], {
        env: { ...process.env, NODE_OPTIONS: "", ...identity },
        stdio: ["ignore", "pipe", "pipe"],
      });
      const each = { rank, child, said: [], stderr: "", code: null, signal: null, at: undefined, hung: false };
      ranks.push(each);
      child.stderr.setEncoding("utf8").on("data", (text) => {
        each.stderr += text;
      });
      createInterface({ input: child.stdout }).on("line", (line) => {
        heard();
        slower ??= slowdown();
        each.said.push(line.startsWith("{") ? JSON.parse(line) : { line });
      });
      child.once("exit", (code, signal) => {
        heard();
        each.at = clock();
        hub.ended(rank, code ?? 0, signal ? constants.signals[signal] : 0);
      });
      child.once("close", (code, signal) => {
        Object.assign(each, { code, signal });
        if (--left > 0) return;
        clearTimeout(watchdog);
        running.delete(job);
        hub.close();
        resolve(Promise.resolve(slower).then((times = 1) => ({ ranks, hung, slower: times })));
      });
    }
  });
}

/** How many times as long as alone everything takes here and now: of a Node.js process that does nothing, its life by its processor time. */
function slowdown() {
  const program =
    "process.on('exit', () => fs.writeSync(1, String(process.cpuUsage().user + process.cpuUsage().system)))";
  const began = clock();
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "inherit"] });
    let microseconds = "";
    let ended = began;
    child.stdout.setEncoding("utf8").on("data", (text) => {
      microseconds += text;
    });
    child.once("exit", () => {
      ended = clock();
    });
    child.once("close", () => resolve(Math.max(1, (1000 * (ended - began)) / Number(microseconds))));
  });
}

/** A rank's end, for who looks for its cause. */
export function describe({ rank, code, signal, hung, said, stderr }) {
  const end = hung ? "was killed by the watchdog" : `ended with ${signal ?? code}`;
  return [
    `rank ${rank} ${end}`,
    ...said.slice(-5).map((each) => `  ${JSON.stringify(each)}`),
    stderr.slice(-3000),
  ].join("\n");
}
