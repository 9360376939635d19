// Hillslope diffusion over several processes: what Carillon looks like in a program that computes.
//
// Soil creeps downhill: where the terrain is bent it moves, dz/dt = D ∇²z. Each rank computes some rows of the volcano
// Maunga Whau. A point needs its four neighbours, so each step the ranks exchange their border rows, and compute the
// points that need none of them while the messages travel.
//
//     carillon run -n 4 dist/examples/hillslope/main.js --steps 2000
import { World } from "carillon";
import { runExample, UsageError } from "../common/command-line.js";
import { showProgress } from "../common/progress.js";
import { DIFFUSIVITY, diffuse, stableStep } from "./diffusion.js";
import { clock, ExchangeTimes, HaloExchange } from "./halo.js";
import { INTERIOR } from "./interior.js";
import { type Options, parseOptions } from "./options.js";
import { writePicture } from "./picture.js";
import { formatReport, type RankReport, type Run } from "./report.js";
import { firstDifference, simulateAlone } from "./serial.js";
import { Slab, share } from "./slab.js";
import { readTerrain, refine, spacing } from "./terrain.js";

/** Tags of the messages that bring the result and the reports to rank 0 (halo.ts has 1 and 2). */
const RESULT = 3;
const REPORT = 4;

/** Every so many steps one that waits for its halos before it computes: what communication costs when nothing hides it. */
const UNHIDDEN = 8;

// Seen from the built file, dist/examples/hillslope/main.js.
const terrain = await readTerrain(new URL("../../../examples/data/volcano.json", import.meta.url));

// Every rank runs this same program. Leaving this module's scope closes the world, which waits until all is sent.
await using world = await World.join();
await runExample("hillslope", world, () => simulate(parseOptions(process.argv.slice(2))));

async function simulate(options: Options): Promise<void> {
  const { rank, size } = world;
  if (options.size.height < size) {
    throw new UsageError(`${size} ranks need at least as many rows, and --size gives ${options.size.height}`);
  }
  const { first, rows } = share(options.size.height, rank, size);
  const slab = new Slab(options.size.width, rows);
  slab.fill(refine(terrain, options.size, first, rows));
  const step = stableStep(spacing(terrain, options.size));
  const halo = new HaloExchange(world, slab);

  const overlapped = new ExchangeTimes();
  const unhidden = new ExchangeTimes();
  const progress = rank === 0 ? showProgress("diffusion", "step", options.steps) : undefined;
  const begin = clock();
  for (let done = 1; done <= options.steps; done++) {
    const overlaps = done % UNHIDDEN !== 0;
    const exchange = halo.post(overlaps ? overlapped : unhidden);
    if (!overlaps) await exchange.received();
    const start = performance.now();
    diffuse(slab.now, slab.next, slab, step, 2, rows - 1);
    performance.measure(INTERIOR, { start }); // seen where a timeline is recorded (CARILLON_TRACE) or somebody observes
    performance.clearMeasures(INTERIOR);
    if (overlaps) await exchange.received();
    diffuse(slab.now, slab.next, slab, step, 1, 1);
    if (rows > 1) diffuse(slab.now, slab.next, slab, step, rows, rows);
    await exchange.sent();
    slab.advance();
    progress?.update(done);
  }
  const report: RankReport = { elapsed: clock() - begin, ...halo.sent, overlapped, unhidden };
  progress?.stop();

  if (rank === 0) {
    await finish(options, step.years, slab, report);
  } else {
    await world.send(slab.elevations(), { dest: 0, tag: RESULT });
    // Any value that structuredClone takes can be sent.
    await world.send(report, { dest: 0, tag: REPORT });
  }
}

/** Rank 0: gathers the result, holds it against a serial run, draws the picture and tells. */
async function finish(options: Options, years: number, slab: Slab, own: RankReport): Promise<void> {
  const { width, height } = options.size;
  const after = new Float64Array(new SharedArrayBuffer(width * height * Float64Array.BYTES_PER_ELEMENT));
  after.set(slab.elevations());
  const ranks = [own];
  const gathered = { messages: 0, bytes: 0 };
  for (let source = 1; source < world.size; source++) {
    const { first, rows } = share(height, source, world.size);
    const place = after.subarray(first * width, (first + rows) * width);
    const result = await world.recv({ source, tag: RESULT, into: place });
    const report = await world.recv<RankReport>({ source, tag: REPORT });
    ranks.push(report.value);
    gathered.messages += 2;
    gathered.bytes += result.byteLength + report.byteLength;
  }

  const before = refine(terrain, options.size);
  const run: Run = {
    size: options.size,
    spacing: spacing(terrain, options.size),
    diffusivity: DIFFUSIVITY,
    years,
    steps: options.steps,
    ranks,
    gathered,
    ...(options.check ? { serial: check(options, before, after) } : {}),
    picture: options.out,
  };
  await writePicture(options.out, { ...options.size, ...run.spacing }, before, after);
  console.log(formatReport(run));
}

/** Computes the same alone, and says how long that took and whether it gave the same bits. */
function check(options: Options, before: Float64Array, after: Float64Array): { elapsed: number; identical: boolean } {
  const step = stableStep(spacing(terrain, options.size));
  const progress = showProgress("the same, serially", "step", options.steps);
  const begin = clock();
  const alone = simulateAlone(before, options.size, step, options.steps, (done) => progress.update(done));
  const elapsed = clock() - begin;
  progress.stop();

  const different = firstDifference(alone, after);
  if (different >= 0) {
    const { width } = options.size;
    console.error(`hillslope: differs first at row ${Math.floor(different / width)}, column ${different % width}`);
    process.exitCode = 1;
  }
  return { elapsed, identical: different < 0 };
}
