// The command line of the example: what can be asked, and clear words about what cannot.
import { cac } from "cac";
import { parseWords, wholeNumber } from "../common/command-line.js";
import { DELAY } from "./echo.js";

export interface Options {
  /** How many blocks each asking rank sends. */
  readonly requests: number;
  /** Worker threads of rank 1 that share the queue. */
  readonly workers: number;
  /** Samples of a block. */
  readonly samples: number;
}

/** @throws UsageError, HelpWanted */
export function parseOptions(words: readonly string[]): Options {
  const cli = cac("carillon run -n RANKS dist/examples/echo-worker/main.js")
    .usage("[options]")
    .option("--requests <N>", "Blocks of sound that each of the other ranks sends to rank 1", { default: 1000 })
    .option("--workers <N>", "Worker threads of rank 1 that share the queue", { default: 2 })
    .option("--samples <N>", "Samples of a block", { default: 4800 });
  const given = parseWords(cli, "Worker threads that never join answer requests out of a queue", words);
  return {
    requests: wholeNumber(given, "requests", 1, 1_000_000),
    workers: wholeNumber(given, "workers", 1, 64),
    samples: wholeNumber(given, "samples", DELAY + 1, 1_000_000),
  };
}
