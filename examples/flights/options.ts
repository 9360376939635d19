// The command line of the example: what can be asked, and clear words about what cannot.
import { cac } from "cac";
import { parseWords, wholeNumber, writableFile } from "../common/command-line.js";

export interface Options {
  /** Rows of a message, at most. */
  readonly batch: number;
  /** How often the table is streamed. */
  readonly times: number;
  readonly out: string;
}

/** @throws UsageError, HelpWanted */
export function parseOptions(words: readonly string[]): Options {
  const cli = cac("carillon run -n RANKS dist/examples/flights/main.js")
    .usage("[options]")
    .option("--batch <N>", "Flights in a message, at most", { default: 20 })
    .option("--times <N>", "Stream the table so often: more to do, the same means", { default: 1 })
    .option("--out <FILE>", "The chart, as SVG", { default: "flights.svg" });
  const given = parseWords(
    cli,
    "Rank 0 streams a table of flights; the others sum up delays by airport and hour",
    words,
  );
  return {
    batch: wholeNumber(given, "batch", 1, 10_000),
    times: wholeNumber(given, "times", 1, 10_000),
    out: writableFile(given, "out"),
  };
}
