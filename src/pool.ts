// `carillon/pool`: threads of this rank, for work that computes while messages flow.
// Responsible for what Carillon adds to Piscina: idle threads that messages reach, leases and messages that are handed to tasks and
// back, streams of tasks, modules checked before they are needed, errors that keep their code. Not for threads, queues, cancelling (Piscina),
// for what a thread runs (workers/task.ts), nor for how many tasks of a stream run when (pool/mapping.ts).
/**
 * Worker threads of a rank that compute while messages flow, and that messages and leases are handed to.
 * @module carillon/pool
 */
import { setMaxListeners } from "node:events";
import { basename } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { inspect } from "node:util";
import { Piscina, queueOptionsSymbol, transferableSymbol, valueSymbol } from "piscina";
import type { ResultEnvelope, TaskEnvelope, TaskFailure, Turn } from "../workers/task.js";
import { checkIsSignal } from "./arguments.js";
import { Consignment } from "./consignment.js";
import { CarillonError } from "./errors.js";
import { resolveScript } from "./launcher/script.js";
import { native } from "./native.js";
import { find, put } from "./pool/find.js";
import { type ResultStream, resultStream } from "./pool/results.js";
import { inputsOf, isSource, type MapSource } from "./pool/sources.js";
import { World } from "./world.js";

export type { ResultStream } from "./pool/results.js";
export type { MapSource, ObservableLike } from "./pool/sources.js";

type PiscinaOptions = NonNullable<ConstructorParameters<typeof Piscina>[0]>;
type PiscinaRunOptions = NonNullable<Parameters<Piscina["run"]>[1]>;

/** Piscina's options, without `atomics`: an idle thread always waits in its event loop, where messages reach it. */
export interface ComputePoolOptions extends Omit<PiscinaOptions, "atomics" | "filename"> {
  /** The module whose default export (or the one that `name` names) runs the tasks: a path, from the working directory, or a file URL. */
  filename: string | URL;
  /** How many ms a thread beyond `minThreads` may idle. Default: Infinity, since it takes along what it waits to receive. */
  idleTimeout?: number;
  /** Tasks begin in the order in which they came. Default: true. */
  stricterFIFO?: boolean;
}

/** Piscina's options for one task (`name`, `signal`, `transferList`), with `filename` as the pool takes it. */
export interface ComputeRunOptions extends Omit<PiscinaRunOptions, "filename"> {
  /** Another module than the pool's. */
  filename?: string | URL | null;
}

/** What `pool.map` takes beside its source and the name of the task. */
export interface ComputeMapOptions {
  /** How many inputs may be in hand at once: asked for, in a task, or a result that nobody has had yet. Default: the pool's threads at most. */
  concurrency?: number;
  /** Results in the order of their inputs (the default), or as they come. */
  ordered?: boolean;
  /** Another module than the pool's. */
  filename?: string | URL | null;
  /** Aborts it: threads that run its tasks are terminated. */
  signal?: AbortSignal | undefined;
}

/**
 * Worker threads of this rank. A task's module may call `World.join()`, once per thread (at its top level, say), for a handle of
 * its own on the same rank; what it waits for reaches it during tasks, between them, and while other threads compute. A thread
 * imports the module with its first task. Idle threads do not keep the process alive, whatever they wait for.
 */
export class ComputePool<T = unknown, R = unknown> extends Piscina<T, R> {
  readonly #module: string;
  readonly #name: string;
  /** Of tasks at once. */
  readonly #capacity: number;

  /** @throws CarillonError ERR_CARILLON_INVALID_ARGUMENT, ERR_CARILLON_CLOSED, ERR_CARILLON_LAUNCH_FAILED (no such module) */
  constructor(world: World, options: ComputePoolOptions) {
    demand(world instanceof World, "world", "a World", world);
    if (world.closed) throw new CarillonError("ERR_CARILLON_CLOSED", "ComputePool: the world was closed");
    demand(options && typeof options === "object", "options", "an object", options);
    const module = moduleUrl(options.filename);
    const name = exportName(options.name ?? "default");
    super({
      ...options,
      idleTimeout: options.idleTimeout ?? Number.POSITIVE_INFINITY,
      filename: fileURLToPath(new URL("../workers/task.js", import.meta.url)),
      name: "runTask",
      atomics: "disabled",
      // Else Piscina puts a task that finds no thread behind later ones.
      stricterFIFO: options.stricterFIFO ?? true,
    });
    this.#module = module;
    this.#name = name;
    this.#capacity = Math.ceil(this.maxThreads * (options.concurrentTasksPerWorker ?? 1));
  }

  /**
   * Resolves with what the task's function returned, rejects with what it threw, and if aborted with Piscina's AbortError, whose
   * `cause` is the signal's reason; the thread that ran it is terminated then.
   *
   * Leases and messages in the task, in plain objects and arrays of any depth (the first 100,000 values), are handed over to the thread
   * without a copy: detached here, and of the same class there. A task that is refused (it cannot be cloned, the queue is full, the pool
   * closes) leaves them as they were, `data` being another view; once it has been taken on they are the task's. The same for its result.
   *
   * Rejects also with ERR_CARILLON_LEASE_IN_USE, _LEASE_RELEASED, _BUFFER_DETACHED: then all of them are as they were; with
   * ERR_CARILLON_INVALID_ARGUMENT, _LAUNCH_FAILED (no such module).
   */
  override async run(task: T, options: ComputeRunOptions = {}): Promise<R> {
    const { filename, name, ...rest } = options;
    return this.#run(task, this.#moduleOf(filename), name == null ? this.#name : exportName(name), rest);
  }

  /**
   * Runs a task for each input: `task` names the export that runs it (default: the pool's). No more than `concurrency` inputs are in hand,
   * so that a source nobody reads the results of, or whose tasks are slow, is held back, and with a message stream its senders. (An
   * Observable pushes, and is not: its values wait here.) Messages are handed over as they came, and decoded by the task.
   *
   * The first task that fails ends it, in its place among the results if they are ordered. `break` and `unsubscribe` let the tasks that run
   * finish and drop their results; what was taken and not begun is dropped, what the stream had taken beyond that is back in its place in line. Loads RxJS.
   * @throws CarillonError ERR_CARILLON_INVALID_ARGUMENT, _LAUNCH_FAILED (no such module)
   */
  map(source: MapSource<T>, task?: string, options: ComputeMapOptions = {}): ResultStream<R> {
    demand(isSource(source), "source", "a MessageStream, an iterable or an Observable", source);
    demand(options && typeof options === "object", "options", "an object", options);
    const { concurrency = this.#capacity, ordered = true, filename, signal } = options;
    demand(Number.isInteger(concurrency) && concurrency > 0, "concurrency", "a whole number from 1 on", concurrency);
    demand(typeof ordered === "boolean", "ordered", "true or false", ordered);
    checkIsSignal(signal);
    const module = this.#moduleOf(filename);
    const name = task == null ? this.#name : exportName(task, "task");
    return resultStream<T, R>({
      signal,
      description: `${basename(module)}, ${name}, concurrency: ${concurrency}${ordered ? "" : ", unordered"}`,
      pass: (signal) => {
        if (signal) setMaxListeners(0, signal); // each of its tasks
        return {
          concurrency,
          ordered,
          inputs: () => inputsOf<T>(source),
          run: (input, turn) => this.#run(input, module, name, signal ? { signal } : {}, turn),
        };
      },
    });
  }

  async #run(
    task: T,
    module: string,
    name: string,
    options: Omit<PiscinaRunOptions, "filename" | "name">,
    turn?: Turn,
  ): Promise<R> {
    const consignment = new Consignment();
    let refused = false;
    try {
      const finds = find(task);
      const load = finds && { ways: consignment.load(finds.objects), places: finds.places };
      const { transferList } = consignment;
      const running = super.run(
        enclose({ module, name, task, key: consignment.key, load, turn, traced: native().traced() }) as T,
        {
          ...options,
          ...(transferList.length > 0 && { transferList: [...(options.transferList ?? []), ...transferList] }),
        },
      );
      if (load) refused = await wasRefused(running);
      return received((await running) as R | ResultEnvelope, consignment);
    } catch (reason) {
      if (isFailure(reason)) throw thrown(reason);
      if (refused || (reason as Error | null)?.name === "DataCloneError") consignment.takeBack();
      throw reason;
    } finally {
      consignment.close();
    }
  }

  #moduleOf(filename: string | URL | null | undefined): string {
    return filename == null ? this.#module : moduleUrl(filename);
  }

  /** @internal One line for `console.log` and `util.inspect`. */
  [inspect.custom](): string {
    if (!(#module in this)) return "ComputePool {}"; // the prototype
    const { threads, queueSize, completed } = this;
    return `ComputePool { ${basename(this.#module)}, threads: ${threads.length}, queued: ${queueSize}, completed: ${completed} }`;
  }
}

/** With what Piscina looks for in a task: `Piscina.move` and the options of a queue. */
function enclose(envelope: TaskEnvelope): unknown {
  const { task } = envelope;
  if (typeof task !== "object" || task === null) return envelope;
  if (transferableSymbol in task && valueSymbol in task) {
    const value = { ...envelope, task: task[valueSymbol] };
    return Piscina.move({ [transferableSymbol]: task[transferableSymbol] as object, [valueSymbol]: value });
  }
  return { ...envelope, [queueOptionsSymbol]: (task as Record<symbol, unknown>)[queueOptionsSymbol] };
}

/** Whether the pool has rejected it before it returned. */
async function wasRefused(running: Promise<unknown>): Promise<boolean> {
  let rejected = false;
  running.then(undefined, () => {
    rejected = true;
  });
  await undefined;
  return rejected;
}

/** The result, with what came beside it. */
function received<R>(result: R | ResultEnvelope, consignment: Consignment): R {
  const envelope = result as Partial<ResultEnvelope> | null | undefined;
  if (envelope?.carillonConsignment !== consignment.key) return result as R;
  const { result: value, load } = envelope as ResultEnvelope;
  return put(value, load.places, consignment.unload(load.ways)) as R;
}

function isFailure(reason: unknown): reason is TaskFailure {
  return (reason as TaskFailure | null)?.carillonTaskFailure === true;
}

/** The error as it was thrown: with its name, its fields and, if it is ours, its class. */
function thrown({ error, fields: { name, ...fields } }: TaskFailure): unknown {
  if (!(error instanceof Error)) return error;
  if (name === "CarillonError") Object.setPrototypeOf(error, CarillonError.prototype);
  return Object.assign(error, fields, name !== error.name && { name });
}

function moduleUrl(filename: unknown): string {
  const script = filename instanceof URL || typeof filename === "string" ? filename : "";
  demand(script, "filename", "a path or a URL", filename);
  return pathToFileURL(resolveScript(script)).href;
}

function exportName(name: unknown, what = "name"): string {
  demand(typeof name === "string", what, "the name of an export", name);
  return name;
}

function demand(holds: unknown, what: string, wanted: string, found: unknown): asserts holds {
  if (holds) return;
  const message = `ComputePool: ${what} must be ${wanted}, not ${inspect(found)}`;
  throw new CarillonError("ERR_CARILLON_INVALID_ARGUMENT", message);
}
