// `carillon/pool`: threads of this rank, for work that computes while messages flow.
// Responsible for what Carillon adds to Piscina: idle threads that messages reach, modules checked before they are needed,
// errors that keep their code. Not for threads, queues, cancelling (Piscina) nor for what a thread runs (workers/task.ts).
import { basename } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { inspect } from "node:util";
import { Piscina, queueOptionsSymbol, transferableSymbol, valueSymbol } from "piscina";
import type { TaskFailure } from "../workers/task.js";
import { CarillonError } from "./errors.js";
import { resolveScript } from "./launcher/script.js";
import { World } from "./world.js";

type PiscinaOptions = NonNullable<ConstructorParameters<typeof Piscina>[0]>;
type PiscinaRunOptions = NonNullable<Parameters<Piscina["run"]>[1]>;

/** Piscina's options, without `atomics`: an idle thread always waits in its event loop, where messages reach it. */
export interface ComputePoolOptions extends Omit<PiscinaOptions, "atomics" | "filename"> {
  /** The module whose default export (or the one that `name` names) runs the tasks: a path, from the working directory, or a file URL. */
  filename: string | URL;
  /** How many ms a thread beyond `minThreads` may idle. Default: Infinity, since it takes along what it waits to receive. */
  idleTimeout?: number;
}

export interface ComputeRunOptions extends Omit<PiscinaRunOptions, "filename"> {
  /** Another module than the pool's. */
  filename?: string | URL | null;
}

/**
 * Worker threads of this rank. A task's module may call `World.join()`, once per thread (at its top level, say), for a handle of
 * its own on the same rank; what it waits for reaches it during tasks, between them, and while other threads compute. A thread
 * imports the module with its first task. Idle threads do not keep the process alive, whatever they wait for.
 */
export class ComputePool<T = unknown, R = unknown> extends Piscina<T, R> {
  readonly #module: string;
  readonly #name: string;

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
      name: "default",
      atomics: "disabled",
    });
    this.#module = module;
    this.#name = name;
  }

  /** Resolves with what the task's function returned, rejects with what it threw. */
  override async run(task: T, options: ComputeRunOptions = {}): Promise<R> {
    const { filename, name, ...rest } = options;
    const module = filename == null ? this.#module : moduleUrl(filename);
    const envelope = enclose(task, module, name == null ? this.#name : exportName(name));
    try {
      return await super.run(envelope as T, rest);
    } catch (reason) {
      throw (reason as TaskFailure | null)?.carillonTaskFailure === true ? thrown(reason as TaskFailure) : reason;
    }
  }

  [inspect.custom](): string {
    if (!(#module in this)) return "ComputePool {}"; // the prototype
    const { threads, queueSize, completed } = this;
    return `ComputePool { ${basename(this.#module)}, threads: ${threads.length}, queued: ${queueSize}, completed: ${completed} }`;
  }
}

/** A TaskEnvelope, with what Piscina looks for in a task: `Piscina.move` and the options of a queue. */
function enclose(task: unknown, module: string, name: string): unknown {
  if (typeof task !== "object" || task === null) return { module, name, task };
  if (transferableSymbol in task && valueSymbol in task) {
    const value = { module, name, task: task[valueSymbol] };
    return Piscina.move({ [transferableSymbol]: task[transferableSymbol] as object, [valueSymbol]: value });
  }
  return { module, name, task, [queueOptionsSymbol]: (task as Record<symbol, unknown>)[queueOptionsSymbol] };
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

function exportName(name: unknown): string {
  demand(typeof name === "string", "name", "a string", name);
  return name;
}

function demand(holds: unknown, what: string, wanted: string, found: unknown): asserts holds {
  if (holds) return;
  const message = `ComputePool: ${what} must be ${wanted}, not ${inspect(found)}`;
  throw new CarillonError("ERR_CARILLON_INVALID_ARGUMENT", message);
}
