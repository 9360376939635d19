// The command line of the example: what can be asked, and clear words about what cannot.
import { cac } from "cac";
import { parseWords, UsageError, wholeNumber, writableFile } from "../common/command-line.js";
import type { Size } from "./terrain.js";

export interface Options {
  readonly size: Size;
  readonly steps: number;
  readonly out: string;
  readonly check: boolean;
}

/** Each way at most this many points, and this many in all: 800 MB a generation. */
const MOST = 100_000;
const MOST_POINTS = 1e8;
const MOST_STEPS = 999_999_999;

/** @throws UsageError, HelpWanted */
export function parseOptions(words: readonly string[]): Options {
  const cli = cac("carillon run -n RANKS dist/examples/hillslope/main.js")
    .usage("[options]")
    .option("--size <WxH>", "Points of the refined grid, 17 for each of the original", { default: "1463x1021" })
    .option("--steps <N>", "Explicit time steps", { default: 2000 })
    .option("--out <FILE>", "The before/after picture", { default: "hillslope.png" })
    .option("--no-check", "Do not compare with a serial run");
  const given = parseWords(
    cli,
    "Soil creeps down a volcano: a grid in slabs, their border rows exchanged each step",
    words,
  );
  const [, width, height] = (/^(\d+)x(\d+)$/i.exec(String(given.size)) ?? []).map(Number) as [unknown, number, number];
  if (!(width >= 2 && height >= 2 && width <= MOST && height <= MOST && width * height <= MOST_POINTS)) {
    throw new UsageError(
      `--size takes WIDTHxHEIGHT, each from 2 to ${MOST}, at most ${MOST_POINTS} points in all; not "${given.size}"`,
    );
  }
  return {
    size: { width, height },
    steps: wholeNumber(given, "steps", 1, MOST_STEPS),
    out: writableFile(given, "out"),
    check: given.check !== false,
  };
}
