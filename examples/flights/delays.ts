// Delays by airport and hour: a table of whole numbers, so that sums are the same in whatever order they are made.
// Responsible for what is where in it; not for who fills it (aggregate.ts, or aggregateAlone here, to compare with).
import { type Flight, hourOf } from "./table.js";

export const HOURS = 24;

/** Flights, and the minutes that they were late in all. */
export interface Sum {
  readonly flights: number;
  readonly minutes: number;
}

/** Sums for each hour of each airport. */
export class Delays {
  /** For each airport, for each hour: flights, minutes. One typed array, for that is what ranks add up. */
  readonly cells: Int32Array;
  readonly #airports: ReadonlyMap<string, number>;

  constructor(airports: readonly string[], cells: Int32Array = new Int32Array(airports.length * HOURS * 2)) {
    this.cells = cells;
    this.#airports = new Map(airports.map((airport, i) => [airport, i]));
  }

  /** The number of the cell that a flight belongs to. */
  cellOf(flight: Flight): number {
    return (this.#airports.get(flight.origin) as number) * HOURS + hourOf(flight);
  }

  add(cell: number, { flights, minutes }: Sum): void {
    this.cells[2 * cell] = (this.cells[2 * cell] as number) + flights;
    this.cells[2 * cell + 1] = (this.cells[2 * cell + 1] as number) + minutes;
  }

  /** An airport's sum for an hour. */
  at(airport: string, hour: number): Sum {
    const cell = (this.#airports.get(airport) as number) * HOURS + hour;
    return { flights: this.cells[2 * cell] as number, minutes: this.cells[2 * cell + 1] as number };
  }

  /** All airports' for an hour. */
  hour(hour: number): Sum {
    return total(Array.from(this.#airports.keys(), (airport) => this.at(airport, hour)));
  }

  /** All there is. */
  total(): Sum {
    return total(Array.from({ length: HOURS }, (_, hour) => this.hour(hour)));
  }
}

/** The same by one loop over the whole table: what the ranks' sums must equal. */
export function aggregateAlone(airports: readonly string[], flights: readonly Flight[]): Delays {
  const delays = new Delays(airports);
  for (const flight of flights) delays.add(delays.cellOf(flight), { flights: 1, minutes: flight.delay });
  return delays;
}

function total(sums: readonly Sum[]): Sum {
  return sums.reduce((a, b) => ({ flights: a.flights + b.flights, minutes: a.minutes + b.minutes }));
}
