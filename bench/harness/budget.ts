// A quick run's minute: which rows come first, and which there is no time for. What a row takes is known from earlier runs, and
// how much faster or slower this machine is from the rows it has measured.
import type { Row } from "./row.js";

/** The whole run; less what it takes to start, to judge and to write. */
const QUICK_SECONDS = 55;

/** What says most, in this order; the others follow in theirs. */
const FIRST = [
  "roundtrip-8B/apart",
  "reaction-timer/apart",
  "rate-64B/threads-apart",
  "bandwidth-1MiB/apart",
  "doorbell-reaction/computing",
  "roundtrip-8B/free",
  "idle",
  "roundtrip-8B/together",
];

/** Seconds of a quick row on two cores, by how its id begins; the first that fits. */
const SECONDS: readonly (readonly [string, number])[] = [
  ["roundtrip-8B", 9],
  ["roundtrip", 6],
  ["oneway", 6],
  ["rate", 12],
  ["bandwidth", 12],
  ["overlap", 14],
  ["reaction", 6],
  ["doorbell-reaction", 7],
  ["idle", 7],
  ["scale", 40],
  ["pool", 20],
];
const OTHERS = 10;

export class Budget {
  #expected = 0;
  #spent = 0;
  readonly #started = performance.now();

  /** @param limited whether the run must end within a minute */
  constructor(readonly limited: boolean) {}

  /** In the order in which they are worth their time. */
  order(rows: readonly Row[]): Row[] {
    if (!this.limited) return [...rows];
    const place = ({ id }: Row) => (FIRST.includes(id) ? FIRST.indexOf(id) : FIRST.length);
    return rows.toSorted((a, b) => place(a) - place(b));
  }

  /** Whether it will have been measured before time is up. The first row always is: nothing is known of this machine before. */
  fits(row: Row): boolean {
    if (!this.limited || this.#spent === 0) return true;
    return (performance.now() - this.#started) / 1e3 + expected(row) * this.#pace() <= QUICK_SECONDS;
  }

  measured(row: Row, seconds: number): void {
    this.#expected += expected(row);
    this.#spent += seconds;
  }

  /** Of these rows. */
  secondsFor(rows: readonly Row[]): number | undefined {
    if (this.limited) return Math.max(0, QUICK_SECONDS - (performance.now() - this.#started) / 1e3);
    return this.#spent === 0 ? undefined : rows.reduce((sum, row) => sum + expected(row), 0) * this.#pace();
  }

  #pace(): number {
    return this.#expected === 0 ? 1 : this.#spent / this.#expected;
  }
}

function expected({ id }: Row): number {
  return SECONDS.find(([prefix]) => id.startsWith(prefix))?.[1] ?? OTHERS;
}
