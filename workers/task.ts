// What a thread of a ComputePool runs: each task goes to the user's module, imported in this thread with its first task.
// Responsible for finding the function, for what comes and goes beside task and result, and for errors that arrive as they were
// thrown; not for threads, queues and cancelling (Piscina, src/pool.ts), nor for joining the world: the user's module does that, if it wants to.
import { find, type Load, put } from "../src/pool/find.js";

/** A task on its way to a thread. */
export interface TaskEnvelope {
  /** URL of the user's module. */
  readonly module: string;
  /** Which of its exports to call. */
  readonly name: string;
  readonly task: unknown;
  /** Of its consignment. */
  readonly key: bigint;
  /** What is handed over with it. */
  readonly load?: Load | undefined;
  /** One of many: which, and up to which they still matter. */
  readonly turn?: Turn | undefined;
  /** A timeline is recorded. */
  readonly traced: boolean;
}

/** Of a task that belongs to a mapping (src/pool/mapping.ts). */
export interface Turn {
  readonly number: number;
  /** One word, shared: tasks with a higher number are not begun any more. */
  readonly last: Int32Array;
}

/** A result with which something is handed over. */
export interface ResultEnvelope {
  /** The key of its consignment tells it from any other result. */
  readonly carillonConsignment: bigint;
  readonly result: unknown;
  readonly load: Load;
}

/** What a task threw. A clone of an Error has its message, stack and cause only: the rest travels beside it. */
export class TaskFailure {
  /** Tells it from the pool's own errors: a clone has no class. */
  readonly carillonTaskFailure = true;
  readonly fields: Record<string, unknown> = {};

  constructor(readonly error: unknown) {
    if (!(error instanceof Error)) return;
    // What is no primitive may not be cloneable, and a failure must always arrive.
    for (const [key, value] of Object.entries(error)) {
      if (Object(value) !== value && typeof value !== "symbol") this.fields[key] = value;
    }
    this.fields.name = error.name;
  }
}

/**
 * What Piscina calls for each task, by this name (src/pool.ts). Not the default export: Piscina requires this file, and Node.js aborts the whole
 * process where a thread is terminated just as it wraps a required module that has one (seen with 24).
 */
export async function runTask(envelope: TaskEnvelope): Promise<unknown> {
  const { module, name, task, key, load, turn, traced } = envelope;
  if (turn && Atomics.load(turn.last, 0) < turn.number) return undefined;
  const { recordTask } = traced ? await import("../src/trace/index.js") : {};
  const begun = performance.now();
  try {
    const run = await functionOf(module, name);
    const result = await run(load ? put(task, load.places, (await consignment(key)).unload(load.ways)) : task);
    const finds = find(result);
    if (!finds) return result;
    const ways = (await consignment(key)).load(finds.objects);
    return { carillonConsignment: key, result, load: { ways, places: finds.places } } satisfies ResultEnvelope;
  } catch (error) {
    throw new TaskFailure(error);
  } finally {
    recordTask?.(taskName(module, name), begun);
  }
}

/** As the timeline shows it: "tile.js", or "tile.js: shade". */
function taskName(module: string, name: string): string {
  const file = module.slice(module.lastIndexOf("/") + 1);
  return name === "default" ? file : `${file}: ${name}`;
}

async function functionOf(module: string, name: string): Promise<(task: unknown) => unknown> {
  // Evaluated once per thread: the loader remembers.
  const exports = await import(module);
  // An export may be a promise of the function. What a CommonJS module exports may be visible through its default only.
  for (const found of [await exports[name], exports.default?.[name]]) if (typeof found === "function") return found;
  // Not before: most threads need nothing of Carillon.
  const { CarillonError } = await import("../src/errors.js");
  throw new CarillonError("ERR_CARILLON_INVALID_ARGUMENT", `${module} exports no function ${JSON.stringify(name)}`);
}

/** Likewise. Nothing can be transferred with a result from here: what would be is cloned. */
async function consignment(key: bigint) {
  const { Consignment } = await import("../src/consignment.js");
  return new Consignment(key);
}
