// Whether the scheduler packs two threads that could run on two CPUs onto one: looked at from outside while they talk, for what is
// measured then is another thing (each message has to wait until the other one runs). Only where they are not pinned.
import { readFileSync } from "node:fs";

const LOOK_EVERY_MS = 8;
/** The field of /proc/TID/stat that says where a thread runs, or ran last, counted from the one after its name. */
const PROCESSOR = 36;
const FEWEST_LOOKS = 5;
/** A share of looks from which on it is said. */
const WORTH_SAYING = 0.5;

export class Packing {
  #looks = 0;
  #packed = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param threads two, as the kernel numbers them; of fewer there is nothing to say */
  constructor(readonly threads: readonly number[]) {}

  begin(): void {
    if (this.threads.length === 2) this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  end(): void {
    clearInterval(this.#timer);
  }

  /** Undefined: mostly on two CPUs, or not seen often enough to say. */
  note(): string | undefined {
    const share = this.#packed / this.#looks;
    if (this.#looks < FEWEST_LOOKS || share < WORTH_SAYING) return undefined;
    return `both on one CPU in ${Math.round(share * 100)} % of looks`;
  }

  #look(): void {
    try {
      const [one, other] = this.threads.map(processorOf);
      this.#looks++;
      if (one === other) this.#packed++;
    } catch {
      // One has ended: its row says so.
    }
  }
}

function processorOf(thread: number): string | undefined {
  const stat = readFileSync(`/proc/${thread}/stat`, "utf8");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[PROCESSOR];
}
