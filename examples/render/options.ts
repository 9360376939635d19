// The command line of the example: what can be asked, and clear words about what cannot.
import { availableParallelism } from "node:os";
import { cac } from "cac";
import { parseWords, UsageError, wholeNumber, writableFile } from "../common/command-line.js";
import type { Picture } from "./tiles.js";

export interface Options {
  readonly picture: Picture;
  /** Edge of a tile, in points. */
  readonly tile: number;
  /** Of each rank's pool. */
  readonly threads: number;
  readonly out: string;
}

const MOST = 16_384;

/** @throws UsageError, HelpWanted */
export function parseOptions(words: readonly string[], ranks: number): Options {
  const cli = cac("carillon run -n RANKS dist/examples/render/main.js")
    .usage("[options]")
    .option("--size <WxH>", "Points of the picture", { default: "960x540" })
    .option("--samples <N>", "N × N rays a point", { default: 2 })
    .option("--tile <N>", "Points along a tile's edge", { default: 64 })
    .option("--threads <N>", "Threads of each rank's pool (default: a share of the cores)")
    .option("--out <FILE>", "The picture", { default: "render.png" });
  const given = parseWords(cli, "Renders bells in tiles, over a ComputePool on every rank", words);
  const [, width, height] = (/^(\d+)x(\d+)$/i.exec(String(given.size)) ?? []).map(Number) as [unknown, number, number];
  if (!(width >= 1 && height >= 1 && width <= MOST && height <= MOST)) {
    throw new UsageError(`--size takes WIDTHxHEIGHT, each from 1 to ${MOST}; not "${given.size}"`);
  }
  const share = Math.max(1, Math.floor(availableParallelism() / ranks));
  return {
    picture: { width, height, samples: wholeNumber(given, "samples", 1, 16) },
    tile: wholeNumber(given, "tile", 1, 1024),
    threads: given.threads === undefined ? share : wholeNumber(given, "threads", 1, 256),
    out: writableFile(given, "out"),
  };
}
