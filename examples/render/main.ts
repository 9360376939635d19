// A picture rendered in tiles, over a ComputePool on every rank.
//
// Rank 0 hands out tiles as ranks ask. Threads render them while each rank's main thread is free for messages; finished tiles stream
// to rank 0, which puts them together and writes a PNG.
//
//     carillon run -n 4 dist/examples/render/main.js --size 1920x1080
import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { World } from "carillon";
import { ComputePool } from "carillon/pool";
import { PNG } from "pngjs";
import { runExample } from "../common/command-line.js";
import { showProgress } from "../common/progress.js";
import { count, rows, seconds, several } from "../common/report.js";
import { askFor, handOut } from "./handout.js";
import { type Options, parseOptions } from "./options.js";
import type { Task } from "./task.js";
import { BYTES, cut, place, render, type Tile, take } from "./tiles.js";

/** The tag of finished tiles (handout.ts has 1 and 2): which one it is, and its points. */
const DONE = 3;
type Done = [number: Int32Array, points: Uint8Array];

/** Tiles that rank 0 renders once more, alone, to compare. */
const CHECKED = 6;

await using world = await World.join();
await runExample("render", world, async () => {
  const options = parseOptions(process.argv.slice(2), world.size);
  const tiles = cut(options.picture, options.tile);
  const begin = performance.now();
  const [gathered] = await Promise.all([
    world.rank === 0 ? gather(options, tiles) : undefined,
    world.rank === 0 ? handOut(world, tiles.length) : undefined,
    renderTiles(options, tiles),
  ]);
  const elapsed = performance.now() - begin;
  // Nobody leaves before: rank 0's streams would end with the last other rank, and its own tiles come by them, too.
  await world.barrier();
  if (gathered) await finish(options, tiles, gathered, elapsed);
});

/** Every rank: renders tiles in a pool of threads for as long as there are any. */
async function renderTiles({ picture, threads }: Options, tiles: readonly Tile[]): Promise<void> {
  const filename = new URL("./task.js", import.meta.url);
  const pool = new ComputePool<Task, Uint8Array>(world, { filename, minThreads: threads, maxThreads: threads });
  const numbers = askFor(world);
  // One tile more than there are threads, so that none waits while the next is asked for.
  const lanes = Array.from({ length: threads + 1 }, async () => {
    for await (const number of numbers) {
      const points = await pool.run({ picture, tile: tiles[number] as Tile });
      await world.send([Int32Array.of(number), points], { dest: 0, tag: DONE });
    }
  });
  await Promise.all(lanes);
  await pool.close();
}

interface Gathered {
  readonly points: Uint8Array;
  /** How many tiles each rank has rendered. */
  readonly shares: readonly number[];
}

/** Rank 0: puts the tiles in their places as they come, in whatever order. */
async function gather({ picture }: Options, tiles: readonly Tile[]): Promise<Gathered> {
  const points = new Uint8Array(picture.width * picture.height * BYTES);
  const shares = new Array<number>(world.size).fill(0);
  const progress = showProgress("render", "tile", tiles.length);
  let done = 0;
  for await (const { source, value } of world.messages<Done>({ tag: DONE })) {
    const [[number], from] = value;
    place(picture, points, tiles[number as number] as Tile, from);
    shares[source] = (shares[source] as number) + 1;
    progress.update(++done);
    if (done === tiles.length) break;
  }
  progress.stop();
  return { points, shares };
}

/** Rank 0: writes the picture, checks it and tells. */
async function finish(options: Options, tiles: readonly Tile[], { points, shares }: Gathered, elapsed: number) {
  const { picture, tile, threads, out } = options;
  const { width, height, samples } = picture;
  const png = new PNG({ width, height });
  png.data = Buffer.from(points.buffer);
  await writeFile(out, PNG.sync.write(png, { colorType: 2, inputColorType: 2, inputHasAlpha: false }));

  const checked = tiles.filter((_, i) => i % Math.ceil(tiles.length / CHECKED) === 0);
  const different = checked.filter((each) => !Buffer.from(render(picture, each)).equals(take(picture, points, each)));
  if (different.length > 0) process.exitCode = 1;
  console.log(
    [
      "",
      "Five bells, marched along rays",
      ...rows("picture", `${out}, ${width} × ${height} points, ${several(samples * samples, "ray")} each`),
      ...rows("tiles", `${count(tiles.length)} of ${tile} × ${tile} points, handed out as ranks asked`),
      ...rows(
        "ranks",
        `${world.size} with ${several(threads, "thread")} each, on ${several(availableParallelism(), "core")}`,
      ),
      ...rows("shares", shares.map((share, rank) => `rank ${rank}: ${share}`).join(", ")),
      ...rows("elapsed", `${seconds(elapsed)}, ${count((width * height) / (elapsed / 1e3))} points a second`),
      ...rows("check", verdict(checked.length, different)),
      ...rows(
        "checksum",
        `${createHash("sha256").update(points).digest("hex").slice(0, 16)}, the same for any number of ranks`,
      ),
      "",
    ].join("\n"),
  );
}

function verdict(checked: number, different: readonly Tile[]): string {
  const what = `${several(checked, "tile")} rendered again by rank 0 alone`;
  const [first] = different;
  return first
    ? `${what}: ${different.length} DIFFERENT, as at ${first.left}, ${first.top}`
    : `${what}: the same bytes`;
}
