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
  readonly strict: boolean;
  readonly list: boolean;
}

/** Name, meaning: for help, and so that there are no others. */
export const BENCH_OPTIONS = [
  ["--only <pattern>", "Rows whose id contains this (* stands for anything; several: a,b)"],
  ["--list", "Print the ids of the rows"],
  ["--quick", "Fewer rows, and fewer and shorter turns, for a first impression"],
  ["--rounds <N>", "How often every peer gets its turn (default 15, quick 5)"],
  ["--json <file>", "Write everything as JSON (-: to stdout; the tables go to stderr then)"],
  ["--strict", "Exit with code 1 if a target is missed or could not be measured"],
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
