// Delays of flights, aggregated while they stream.
//
// Rank 0 streams a table's rows, each to the rank that its airport belongs to; the others sum up delays by airport and hour in an RxJS
// pipeline; a reduction adds the ranks' sums, and rank 0 compares them with its own and draws a chart.
//
//     carillon run -n 4 dist/examples/flights/main.js
import { World } from "carillon";
import { runExample } from "../common/command-line.js";
import { showProgress } from "../common/progress.js";
import { count, rows, several } from "../common/report.js";
import { aggregateAlone, Delays, HOURS } from "./delays.js";
import { type Options, parseOptions } from "./options.js";
import { aggregate, type Streamed, streamRows } from "./streaming.js";
import { airportsOf, readFlights } from "./table.js";

// Seen from the built file, dist/examples/flights/main.js.
const TABLE = new URL("../../../examples/data/flights.csv", import.meta.url);

// At most a MiB of rows waits at a rank that is behind; then rank 0 waits, so that no table is too long.
await using world = await World.join({ maxUnexpectedBytes: 2 ** 20 });
await runExample("flights", world, async () => {
  const options = parseOptions(process.argv.slice(2));
  await (world.rank === 0 ? lead(options) : follow());
});

/** Every other rank: aggregates what comes. Rank 0 calls the same collectives, in the same order. */
async function follow(): Promise<void> {
  const airports = await world.broadcast<string[]>(undefined);
  const delays = await aggregate(world, airports);
  await world.reduce(delays.cells, { op: "sum" });
  await world.gather(delays.total().flights);
}

async function lead({ batch, times, out }: Options): Promise<void> {
  const flights = await readFlights(TABLE);
  const airports = await world.broadcast(airportsOf(flights));
  // Airports in turn, the busiest first: as many flights for each rank, nearly. A world of one aggregates what it streams.
  const aggregators = Math.max(world.size - 1, 1);
  const ranks = new Map(airports.map((airport, i) => [airport, world.size === 1 ? 0 : 1 + (i % aggregators)]));
  const progress = showProgress("stream", "flight", flights.length * times);
  const [streamed, own] = await Promise.all([
    streamRows(world, flights, batch, times, (airport) => ranks.get(airport) as number, progress.update),
    world.size === 1 ? aggregate(world, airports) : new Delays(airports),
  ]);
  progress.stop();
  const cells = (await world.reduce(own.cells, { op: "sum" })) as Int32Array; // at the root, which rank 0 is
  const shares = (await world.gather(own.total().flights)) as number[];

  const alone = aggregateAlone(airports, flights);
  const right = cells.every((value, i) => value === times * (alone.cells[i] as number));
  if (!right) process.exitCode = 1;
  const delays = new Delays(
    airports,
    cells.map((value) => value / times),
  );
  const { writeChart } = await import("./chart.js");
  await writeChart(out, delays, airports);
  report(airports, streamed, shares, delays, right, out);
}

function report(
  airports: readonly string[],
  { messages, heldUp, heldUpFor }: Streamed,
  shares: readonly number[],
  delays: Delays,
  right: boolean,
  out: string,
): void {
  const means = Array.from({ length: HOURS }, (_, hour) => ({ hour, ...delays.hour(hour) }))
    .filter(({ flights }) => flights >= 100)
    .map(({ hour, flights, minutes }) => ({ hour, mean: minutes / flights }))
    .sort((a, b) => a.mean - b.mean);
  const waited = heldUp === 0 ? "never" : `${several(heldUp, "time")}, for ${heldUpFor.toFixed(1)} ms in all`;
  console.log(
    [
      "",
      `Delays of ${count(delays.total().flights)} flights from ${airports.length} airports`,
      ...rows("streamed", several(messages, "message")),
      ...rows("held up", `${waited}: how often rank 0 had to wait for a rank that was behind`),
      ...rows("aggregated", shares.flatMap((share, rank) => (share ? `rank ${rank}: ${count(share)}` : [])).join(", ")),
      ...rows("best hour", named(means[0])),
      ...rows("worst hour", named(means.at(-1))),
      ...rows("check", right ? "the ranks' sums are those of one loop over the table" : "the ranks' sums are WRONG"),
      ...rows("picture", out),
      "",
    ].join("\n"),
  );
}

function named({ hour, mean }: { hour: number; mean: number } = { hour: 0, mean: 0 }): string {
  const minutes = `${Math.abs(mean).toFixed(1)} minutes ${mean < 0 ? "early" : "late"}`;
  return `${hour} to ${hour + 1} o'clock: who departs then arrives ${minutes} on average`;
}
