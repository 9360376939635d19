// The stream of flights: rank 0 sends the rows, the others aggregate what reaches them, by RxJS. Knows nothing of pictures.
import { subscribe } from "node:diagnostics_channel";
import type { BackpressureOffEvent, Communicator } from "carillon";
import { groupBy, lastValueFrom, map, mergeMap, reduce, takeWhile } from "rxjs";
import { Delays, type Sum } from "./delays.js";
import type { Flight } from "./table.js";

/** The tag of messages with rows; null says that there are no more, and cannot overtake them: it has the same tag. */
const ROWS = 1;
type Rows = Flight[] | null;

/** Bytes that a stream takes ahead of its subscriber; then its messages wait, in the end at rank 0. */
const AHEAD = 16_384;

/** What streaming took. */
export interface Streamed {
  readonly messages: number;
  /** How often sends had to wait for an aggregator, and for how many ms. */
  readonly heldUp: number;
  readonly heldUpFor: number;
}

/** On rank 0: sends every row to the rank that aggregates its airport, `times` over, in messages of up to `batch` rows. */
export async function streamRows(
  world: Communicator,
  flights: readonly Flight[],
  batch: number,
  times: number,
  rankOf: (airport: string) => number,
  onRow: (done: number) => void,
): Promise<Streamed> {
  let heldUp = 0;
  let heldUpFor = 0;
  subscribe("carillon:backpressure.off", (event) => {
    heldUp++;
    heldUpFor += (event as BackpressureOffEvent).duration;
  });
  let messages = 0;
  const waiting = Array.from({ length: world.size }, (): Flight[] => []);
  const send = async (rows: Rows, dest: number) => {
    messages++;
    await world.send(rows, { dest, tag: ROWS }); // this is where an aggregator that is behind holds rank 0 back
  };
  const rowCount = flights.length * times;
  for (let i = 0; i < rowCount; i++) {
    const flight = flights[i % flights.length] as Flight;
    const dest = rankOf(flight.origin);
    const rows = waiting[dest] as Flight[];
    if (rows.push(flight) === batch) {
      waiting[dest] = [];
      await send(rows, dest);
    }
    onRow(i + 1);
  }
  for (const [dest, rows] of waiting.entries()) {
    if (rows.length > 0) await send(rows, dest);
    if (dest > 0 || world.size === 1) await send(null, dest);
  }
  return { messages, heldUp, heldUpFor };
}

/** On the ranks that aggregate: the sums of all rows that come. */
export function aggregate(world: Communicator, airports: readonly string[]): Promise<Delays> {
  const delays = new Delays(airports);
  const sums = world.messages<Rows>({ source: 0, tag: ROWS, byteCapacity: AHEAD }).pipe(
    map((message) => message.value),
    takeWhile((rows) => rows !== null),
    mergeMap((rows) => rows),
    groupBy((flight) => delays.cellOf(flight)),
    mergeMap((flights) =>
      flights.pipe(
        reduce((sum: Sum, { delay }) => ({ flights: sum.flights + 1, minutes: sum.minutes + delay }), NO_FLIGHTS),
        map((sum) => ({ cell: flights.key, sum })),
      ),
    ),
    reduce((all, { cell, sum }) => {
      all.add(cell, sum);
      return all;
    }, delays),
  );
  return lastValueFrom(sums);
}

const NO_FLIGHTS: Sum = { flights: 0, minutes: 0 };
