// The collectives of one communicator as its methods call them: arguments checked, so that a wrong one fails on every rank
// instead of leaving the others waiting, then handed to the algorithm.
// Not responsible for algorithms (a file each) nor for the promises made to users (communicator.ts has their docstrings).
import { agree, type Contexts, type Part } from "../contexts.js";
import { CarillonError } from "../errors.js";
import { checkInto, isReducibleArray, operatorNumber, type ReducibleArray } from "../reduction.js";
import { allgather } from "./allgather.js";
import { alltoall } from "./alltoall.js";
import { barrier } from "./barrier.js";
import { broadcast } from "./broadcast.js";
import type { CollectiveName, Port } from "./collective.js";
import type { Operator } from "./operand.js";
import { Order } from "./order.js";
import { allreduce, reduce } from "./reduce.js";
import { gather, scatter } from "./rooted.js";

type Signal = AbortSignal | undefined;

/** Any two lengths that a member could confuse differ by it. */
const SHAPES = 65521;

export class Collectives {
  readonly #size: number;
  readonly #order: Order;

  constructor(port: Port) {
    this.#size = port.size;
    this.#order = new Order(port);
  }

  barrier(signal: Signal): Promise<void> {
    return this.#order.start({ name: "barrier" }, signal, barrier);
  }

  broadcast(value: unknown, root: number, signal: Signal): Promise<unknown> {
    return this.#order.start(this.#rooted("broadcast", root), signal, async (collective) => {
      this.#checkRoot(root);
      return broadcast(collective, value, root);
    });
  }

  gather(value: unknown, root: number, signal: Signal): Promise<unknown[] | undefined> {
    return this.#order.start(this.#rooted("gather", root), signal, async (collective) => {
      this.#checkRoot(root);
      return gather(collective, value, root);
    });
  }

  scatter(values: readonly unknown[] | undefined, root: number, signal: Signal): Promise<unknown> {
    return this.#order.start(this.#rooted("scatter", root), signal, async (collective) => {
      this.#checkRoot(root);
      if (collective.rank === root) this.#checkValues(values);
      return scatter(collective, values, root);
    });
  }

  allgather(value: unknown, signal: Signal): Promise<unknown[]> {
    return this.#order.start({ name: "allgather" }, signal, (collective) => allgather(collective, value));
  }

  alltoall(values: readonly unknown[], signal: Signal): Promise<unknown[]> {
    return this.#order.start({ name: "alltoall" }, signal, async (collective) => {
      this.#checkValues(values);
      return alltoall(collective, values);
    });
  }

  reduce(data: unknown, op: unknown, root: number, into: unknown, signal: Signal): Promise<unknown> {
    const variant = numberOf(op);
    return this.#order.start({ ...this.#rooted("reduce", root), variant }, signal, async (collective) => {
      this.#checkRoot(root);
      operatorNumber(op);
      if (collective.rank === root) checkInto(into, data);
      return written(await reduce(collective, data, op as Operator, root), into);
    });
  }

  allreduce(data: unknown, op: unknown, into: unknown, signal: Signal): Promise<unknown> {
    // By length the members choose their algorithm: they must agree on it before the first message.
    const shape = isReducibleArray(data) ? data.length % SHAPES : 0;
    return this.#order.start({ name: "allreduce", variant: numberOf(op), shape }, signal, async (collective) => {
      operatorNumber(op);
      checkInto(into, data);
      return written(await allreduce(collective, data, op as Operator), into);
    });
  }

  dup(contexts: Contexts): Promise<Part | undefined> {
    return this.#order.start({ name: "dup" }, undefined, (collective) => agree(collective, contexts, 0, 0));
  }

  split(contexts: Contexts, color: number | undefined | null, key: number): Promise<Part | undefined> {
    return this.#order.start({ name: "split" }, undefined, async (collective) => {
      demand(
        color == null || (Number.isSafeInteger(color) && color >= 0),
        "color",
        "a whole number, or undefined",
        color,
      );
      demand(Number.isSafeInteger(key), "key", "a whole number", key);
      return agree(collective, contexts, color ?? undefined, key);
    });
  }

  #rooted(name: CollectiveName, root: number) {
    return { name, root: Number.isInteger(root) ? root : 0 };
  }

  #checkRoot(root: number): void {
    if (Number.isInteger(root) && root >= 0 && root < this.#size) return;
    const range = this.#size === 1 ? "0 (there is one rank)" : `a rank from 0 to ${this.#size - 1}`;
    const message = `root must be ${range}, not ${shown(root)}`;
    throw new CarillonError("ERR_CARILLON_INVALID_RANK", message);
  }

  #checkValues(values: unknown): void {
    const isOne = Array.isArray(values) && values.length === this.#size;
    const found = Array.isArray(values) ? `one of ${values.length}` : shown(values);
    if (!isOne) demand(false, "values", `an array with one value for each of the ${this.#size} ranks`, found, true);
  }
}

function written(result: unknown, into: unknown): unknown {
  if (into === undefined || result === undefined) return result;
  (into as ReducibleArray).set(result as never);
  return into;
}

/** A wrong one is refused once the collective has begun. */
function numberOf(op: unknown): number {
  try {
    return operatorNumber(op);
  } catch {
    return 0;
  }
}

function shown(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

function demand(holds: boolean, what: string, wanted: string, found: unknown, isShown = false): void {
  if (holds) return;
  const message = `${what} must be ${wanted}, not ${isShown ? found : shown(found)}`;
  throw new CarillonError("ERR_CARILLON_INVALID_ARGUMENT", message);
}
