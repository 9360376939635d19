// What a thread of a ComputePool runs: each task goes to the user's module, imported in this thread with its first task.
// Responsible for finding the function and for errors that arrive as they were thrown; not for threads, queues and
// cancelling (Piscina, src/pool.ts), nor for joining the world: the user's module does that, if it wants to.

/** A task on its way to a thread. */
export interface TaskEnvelope {
  /** URL of the user's module. */
  readonly module: string;
  /** Which of its exports to call. */
  readonly name: string;
  readonly task: unknown;
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

export default async function runTask({ module, name, task }: TaskEnvelope): Promise<unknown> {
  try {
    const run = await find(module, name);
    return await run(task);
  } catch (error) {
    throw new TaskFailure(error);
  }
}

async function find(module: string, name: string): Promise<(task: unknown) => unknown> {
  // Evaluated once per thread: the loader remembers.
  const exports = await import(module);
  // An export may be a promise of the function. What a CommonJS module exports may be visible through its default only.
  for (const found of [await exports[name], exports.default?.[name]]) if (typeof found === "function") return found;
  // Not before: most threads need nothing of Carillon.
  const { CarillonError } = await import("../src/errors.js");
  throw new CarillonError("ERR_CARILLON_INVALID_ARGUMENT", `${module} exports no function ${JSON.stringify(name)}`);
}
