// The table of flights: reads it, and says what is in a row. Knows nothing of ranks.
import { readFile } from "node:fs/promises";

/** A row: an object of plain values, which a message brings as it is. */
export interface Flight {
  /** Of departure, by the airport's clock: "2001/01/01 00:47". */
  readonly date: string;
  /** Minutes late at its destination; negative: early. */
  readonly delay: number;
  /** Miles. */
  readonly distance: number;
  /** The airports' codes. */
  readonly origin: string;
  readonly destination: string;
}

const COLUMNS = "date,delay,distance,origin,destination";

/** Reads the table: comma-separated, no quotes. */
export async function readFlights(file: URL): Promise<Flight[]> {
  const [columns, ...lines] = (await readFile(file, "utf8")).trimEnd().split("\n");
  if (columns !== COLUMNS) throw new Error(`${file.pathname} is no table of ${COLUMNS}`);
  return lines.map((line) => {
    const [date = "", delay, distance, origin = "", destination = ""] = line.split(",");
    return { date, delay: Number(delay), distance: Number(distance), origin, destination };
  });
}

/** The hour of departure, 0 to 23. */
export function hourOf({ date }: Flight): number {
  return Number(date.slice(11, 13));
}

/** The airports that flights depart from, the busiest first. */
export function airportsOf(flights: readonly Flight[]): string[] {
  const departures = new Map<string, number>();
  for (const { origin } of flights) departures.set(origin, (departures.get(origin) ?? 0) + 1);
  return [...departures.keys()].sort(
    (a, b) => Number(departures.get(b)) - Number(departures.get(a)) || (a < b ? -1 : 1),
  );
}
