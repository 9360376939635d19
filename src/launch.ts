// `launch`: a program becomes rank 0 of a world and starts the other ranks as its children.
// Not responsible for their processes and output (src/launcher) nor for the world itself (world.ts).
import { inspect } from "node:util";
import { CarillonError } from "./errors.js";
import type { RankEnd } from "./launcher/rank-process.js";
import { native } from "./native.js";
import { environmentOf, type Settings, settingsAmong, settingsFrom } from "./settings.js";
import { joinAs, onExitWrite, type World } from "./world.js";

/** Settings hold here and in the other ranks. */
export interface LaunchOptions extends Settings {
  /** How many ranks the world has, this process included. */
  size: number;
  /** What the other ranks run: a path, from the working directory, or a file URL. */
  script: string | URL;
  /** The script's arguments: `process.argv.slice(2)` there. Default: none. */
  args?: string[];
  /** Options for their node. Default: this process's own, without its inspector and without `--eval` and its like. */
  execArgv?: string[];
  /** Added to this process's environment, which the other ranks inherit. */
  env?: Record<string, string>;
  /** Begin every line of their output with `[rank] `. Default: false. */
  label?: boolean;
}

/**
 * Starts ranks 1 to size - 1 and joins as rank 0, once all of them have. Their output goes to this process's stdout and
 * stderr by whole lines. They end when this process does. As long as the world is open they do not keep this process
 * alive; when it has left the world, by `close()` or because it had nothing left to do, it waits for them to end.
 * @throws CarillonError ERR_CARILLON_INVALID_ARGUMENT, ERR_CARILLON_LAUNCH_FAILED, ERR_CARILLON_ALREADY_JOINED,
 * ERR_CARILLON_CLOSED (this process has left its world), ERR_CARILLON_JOIN_FAILED (a rank ended before it joined)
 */
export async function launch(options: LaunchOptions): Promise<World> {
  check(options);
  options = { ...options }; // the caller may change its own meanwhile
  const { inheritedOptions, Job, resolveScript } = await import("./launcher/index.js");
  const { size, args = [], execArgv = inheritedOptions(process.execArgv) } = options;
  const script = resolveScript(options.script, true);
  if (native().joined()) {
    throw new CarillonError("ERR_CARILLON_ALREADY_JOINED", "this process is a rank already: it cannot launch a world");
  }
  if (native().left()) {
    throw new CarillonError("ERR_CARILLON_CLOSED", "this process has left its world and cannot launch another");
  }
  const environment = { ...process.env, ...environmentOf(options), ...options.env };
  const ownBuffer = native().ownTraceBuffer(); // of a world of one that this process was before
  const timeline = environment.CARILLON_TRACE
    ? (await import("./trace/index.js")).Timeline.of(environment, size, ownBuffer)
    : undefined;
  const hub = native().openHub(size);
  let formed = false;
  let abortTold = false;
  /** Ends that came before this rank knew that the world had formed: if it does not, the rejection says so. */
  const early: RankEnd[] = [];
  const started = deferred<never>();
  const left = deferred<void>();
  const job = new Job({
    hub,
    size,
    firstRank: 1,
    words: () => [process.execPath, ...execArgv, script, ...args],
    environment,
    timeline,
    label: options.label ?? false,
    groups: false,
    stdout: process.stdout,
    stderr: process.stderr,
    onRankEnded: ({ rank, error: cause }) => {
      if (!cause) return; // how it ended is the hub's to tell
      const message = `rank ${rank} could not be started: ${cause.message}`;
      started.reject(new CarillonError("ERR_CARILLON_LAUNCH_FAILED", message, { rank, cause }));
    },
    onRankClosed: (end) => (formed ? tell(end) : early.push(end)),
  });
  /** Of an abort one line says all. */
  function tell(end: RankEnd): void {
    if (!isFailure(end) || abortTold) return;
    abortTold = hub.aborter() >= 0;
    if (abortTold) job.kill(); // who had left the world has not heard of it
    job.note(job.describe(end));
  }
  // This rank needs the hub as long as it is in the world, even alone.
  void Promise.all([job.over, left.promise]).then(() => {
    hub.close();
    writeTimeline();
  });
  function writeTimeline(): void {
    onExitWrite(undefined);
    for (const note of timeline?.write(ownBuffer) ?? []) job.note(note);
  }
  if (timeline) onExitWrite(writeTimeline);
  try {
    job.start();
    const leave = () => void world.close();
    const onLeft = () => {
      process.off("beforeExit", leave);
      job.ref();
      left.resolve();
    };
    const joined = joinAs({
      address: hub.address,
      rank: 0,
      size,
      ...settingsAmong(options),
      onLeft,
      traceBuffer: timeline?.path(0) ?? "",
    });
    const world = await Promise.race([joined, started.promise]);
    formed = true;
    early.forEach(tell);
    job.unref();
    // Nothing is outstanding: this rank leaves, as any rank does, but stays to pass on what the others still write.
    process.once("beforeExit", leave);
    return world;
  } catch (error) {
    job.end();
    left.resolve();
    throw error;
  }
}

/** A promise and its ends; a rejection that nobody waits for is no error. */
function deferred<T>() {
  let ends: Pick<PromiseWithEnds<T>, "resolve" | "reject"> | undefined;
  const promise = new Promise<T>((resolve, reject) => {
    ends = { resolve, reject };
  });
  promise.catch(() => {});
  return { promise, ...ends } as PromiseWithEnds<T>;
}

interface PromiseWithEnds<T> {
  promise: Promise<T>;
  resolve(value: T): void;
  reject(error: Error): void;
}

function isFailure(end: RankEnd): boolean {
  return end.code !== 0 || end.signal !== 0;
}

function check(options: LaunchOptions): void {
  demand(isObject(options), "options", "an object", options);
  const { size, script, args, execArgv, env, label } = options;
  const { maxRanks } = native();
  demand(Number.isInteger(size) && size >= 1 && size <= maxRanks, "size", `a whole number from 1 to ${maxRanks}`, size);
  demand((typeof script === "string" && script !== "") || script instanceof URL, "script", "a path or a URL", script);
  demand(args === undefined || isStrings(args), "args", "an array of strings", args);
  demand(execArgv === undefined || isStrings(execArgv), "execArgv", "an array of strings", execArgv);
  demand(env === undefined || (isObject(env) && isStrings(Object.values(env))), "env", "an object of strings", env);
  settingsFrom(settingsAmong(options), "launch: ");
  demand(label === undefined || typeof label === "boolean", "label", "a boolean", label);
}

function demand(holds: boolean, name: string, wanted: string, found: unknown): void {
  if (holds) return;
  throw new CarillonError("ERR_CARILLON_INVALID_ARGUMENT", `launch: ${name} must be ${wanted}, not ${inspect(found)}`);
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null;
}

function isStrings(value: unknown): boolean {
  return Array.isArray(value) && value.every((each) => typeof each === "string");
}
