// One pass of `pool.map`: takes inputs, has a task run for each, keeps the results until they are asked for.
// Responsible for the bound (no more inputs in hand than `concurrency`), for the order, and for the end; not for what an input
// is (sources.ts), where tasks run (pool.ts), nor for how results are handed out (results.ts).
import type { Turn } from "../../workers/task.js";
import type { Inputs } from "./sources.js";

export interface MappingOptions<I, R> {
  /** Begins. */
  readonly inputs: () => Inputs<I>;
  readonly run: (input: I, turn: Turn) => Promise<R>;
  readonly concurrency: number;
  readonly ordered: boolean;
  /** `take` has something to say. Never called from within a call of this. */
  readonly changed: () => void;
}

/** An input that was taken and whose result has not been. */
interface Slot<R> {
  readonly number: number;
  outcome?: { readonly value: R } | { readonly reason: unknown };
}

/** No limit to the tasks that matter; none does. */
const ALL = 2 ** 31 - 1;
const NONE = -1;

export class Mapping<I, R> {
  readonly #options: MappingOptions<I, R>;
  readonly #last = new Int32Array(new SharedArrayBuffer(4)).fill(ALL);
  /** In the order in which they are handed out. Unordered: those that have an outcome. */
  #slots: Slot<R>[] = [];
  /** Inputs asked for and not handed out as results. */
  #inHand = 0;
  #count = 0;
  #inputs: Inputs<I> | undefined;
  #asking = false;
  /** No more is asked for. */
  #dry = false;
  /** The source has failed: said when all that came before is handed out. */
  #failure: { readonly reason: unknown } | undefined;
  #ended = false;
  #stopped: Promise<void> | undefined;

  constructor(options: MappingOptions<I, R>) {
    this.#options = options;
    void Promise.resolve().then(() => this.#ask()); // whoever made this does not know it yet
  }

  /** The next result, or the end; undefined: not yet. A failed task ends it, and what the others gave is dropped. */
  take(): { readonly value: R } | { readonly end: { readonly reason: unknown } | undefined } | undefined {
    const outcome = this.#slots[0]?.outcome;
    if (outcome && "reason" in outcome) {
      void this.stop().catch(() => {});
      return { end: outcome };
    }
    if (outcome) {
      this.#slots.shift();
      this.#inHand--;
      void this.#ask();
      return outcome;
    }
    if (this.#ended || (this.#dry && this.#inHand === 0)) return { end: this.#failure };
    return undefined;
  }

  /** Asks for no more, lets tasks that run finish and begins none. Settles when the source has stopped. */
  stop(): Promise<void> {
    this.#ended = true;
    this.#slots = [];
    Atomics.store(this.#last, 0, NONE);
    return this.#dryUp();
  }

  /** One call after the other. */
  async #ask(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    while (!this.#dry && this.#inHand < this.#options.concurrency) {
      this.#inHand++; // it may come at any time
      try {
        this.#inputs ??= this.#options.inputs();
        const input = await this.#inputs.next();
        if (!input.done && !this.#dry) {
          this.#begin(input.value);
          continue;
        }
      } catch (reason) {
        this.#failure ??= { reason };
      }
      this.#inHand--;
      this.#dry = true;
      if (!this.#ended) this.#options.changed();
    }
    this.#asking = false;
  }

  #begin(input: I): void {
    const { ordered, run } = this.#options;
    const slot: Slot<R> = { number: this.#count++ };
    if (ordered) this.#slots.push(slot);
    const settled = (outcome: NonNullable<Slot<R>["outcome"]>) => {
      if (this.#ended || slot.number > Atomics.load(this.#last, 0)) return;
      slot.outcome = outcome;
      if (!ordered) this.#slots.push(slot);
      if ("reason" in outcome) this.#failed(slot);
      this.#options.changed();
    };
    run(input, { number: slot.number, last: this.#last }).then(
      (value) => settled({ value }),
      (reason) => settled({ reason }),
    );
  }

  /** It is the last that is handed out: what comes after it does not matter any more. */
  #failed(slot: Slot<R>): void {
    Atomics.store(this.#last, 0, this.#options.ordered ? slot.number : NONE);
    this.#slots.length = this.#slots.indexOf(slot) + 1;
    void this.#dryUp().catch(() => {});
  }

  #dryUp(): Promise<void> {
    this.#dry = true;
    this.#stopped ??= this.#inputs?.stop() ?? Promise.resolve();
    return this.#stopped;
  }
}
