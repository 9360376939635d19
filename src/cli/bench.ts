// `carillon bench`: what its words mean. The bench itself lies beside the library (dist/bench), and is loaded by this command only.
import { WordsError } from "../launcher/node-words.js";

export interface BenchOptions {
  /** Patterns of row ids, none: all rows. */
  readonly only: readonly string[];
  readonly quick: boolean;
  /** How often every peer gets its turn, if asked for. */
  readonly rounds: number | undefined;
  /** Where to, `-`: stdout. */
  readonly json: string | undefined;
  readonly html: string | undefined;
  /** A folder. */
  readonly plots: string | undefined;
  /** The JSON of an earlier run that is shown instead of measuring, and that of one to compare with. */
  readonly from: string | undefined;
  readonly compare: string | undefined;
  readonly strict: boolean;
  readonly list: boolean;
}

/** Name, meaning: for help, and so that there are no others. */
export const BENCH_OPTIONS = [
  ["--only <pattern>", "Rows whose id contains this (* stands for anything; several: a,b)"],
  ["--list", "Print the ids of the rows"],
  ["--quick", "A minute's worth of rows, with fewer and shorter turns, for a first impression"],
  ["--rounds <N>", "How often every peer gets its turn (default 15, quick 5)"],
  ["--json <file>", "Write everything as JSON (-: to stdout; the tables go to stderr then)"],
  ["--html <file>", "Write a report with pictures as one HTML file"],
  ["--plots <folder>", "Write its pictures as SVG files"],
  ["--compare <file>", "Hold every figure against an earlier run's JSON, and say what differs beyond its scatter"],
  ["--from <file>", "Measure nothing: show an earlier run's JSON again (with --html, --plots, --compare)"],
  [
    "--strict",
    "Exit with code 1 if a target is missed or could not be measured, or a figure is slower by more than 10 %",
  ],
] as const;

/**
 * @returns the exit code
 * @throws WordsError if the words cannot be meant
 */
export async function bench(words: Readonly<Record<string, unknown>>): Promise<number> {
  const options: BenchOptions = {
    only: [words.only ?? []].flat().flatMap((patterns) => String(patterns).split(",")),
    quick: words.quick === true,
    rounds: parseRounds(words.rounds),
    json: fileOf(words.json, "--json"),
    html: fileOf(words.html, "--html"),
    plots: fileOf(words.plots, "--plots"),
    from: fileOf(words.from, "--from"),
    compare: fileOf(words.compare, "--compare"),
    strict: words.strict === true,
    list: words.list === true,
  };
  // Not a literal: it belongs to another project of the build, and must not be bundled with this one.
  const { bench } = await import(new URL("../../bench/main.js", import.meta.url).href);
  return bench(options);
}

function parseRounds(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 1) return value;
  throw new WordsError(`--rounds takes a whole number from 1, not ${JSON.stringify(value)}`);
}

function fileOf(value: unknown, option: string): string | undefined {
  if (Array.isArray(value)) throw new WordsError(`${option} can be given once`);
  return value === undefined ? undefined : String(value);
}
