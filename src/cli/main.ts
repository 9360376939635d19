#!/usr/bin/env node
// The `carillon` command: finds out which command is meant, prints help and errors, sets the exit code.
// Not responsible for what the commands do.
import { cac } from "cac";
import { CarillonError } from "../errors.js";
import { WordsError } from "../launcher/node-words.js";
import { DOORBELLS } from "../settings.js";
import { BENCH_OPTIONS, bench } from "./bench.js";
import { info, version } from "./info.js";
import { run } from "./run.js";
import { parseDoorbell } from "./run-words.js";
import { selftest } from "./selftest.js";

/** The command line cannot be meant. */
const USAGE = 2;
const COMMANDS = ["run", "info", "selftest", "bench"];

process.exitCode = await main(process.argv.slice(2));

async function main(words: string[]): Promise<number> {
  try {
    // Everything after `run` may belong to node or to the script: no parser of ours may touch it.
    const code = words[0] === "run" ? await run(words.slice(1)) : undefined;
    return typeof code === "number" ? code : await dispatch(code === "help" ? ["run", "--help"] : words);
  } catch (error) {
    if (!isExpected(error)) throw error;
    const code = error instanceof CarillonError ? ` [${error.code}]` : "";
    process.stderr.write(`carillon: ${error.message}${code}\n`);
    if (error instanceof CarillonError) return 1;
    process.stderr.write(`See carillon ${COMMANDS.includes(words[0] ?? "") ? `${words[0]} ` : ""}--help\n`);
    return USAGE;
  }
}

async function dispatch(words: string[]): Promise<number> {
  let code: number | undefined;
  const cli = cac("carillon");
  cli
    .command("run", "Start a program as N ranks")
    .usage("run -n N [options] [node options] script [args]\n  $ carillon run -n N [options] -- command [args]")
    .option("-n <N>", "How many ranks to start")
    .option("--wait <how>", "How an event loop waits: adaptive (looks for a moment before it sleeps) or block")
    .option("--doorbell <kind>", `How ranks are rung: ${DOORBELLS.join(", ")} (see carillon info)`)
    .option("--label", "Begin every line of output with its rank: [2] …")
    .example("  $ carillon run -n 4 app.js")
    .example("  $ carillon run -n 2 --wait block --inspect --import tsx app.ts --size 100")
    .example("  $ carillon run -n 4 --label -- python3 worker.py");
  cli
    .command("info", "Show which doorbells and drivers this machine has, and why not the others")
    .option("--json", "The same for programs")
    .action((options: { json?: boolean }) => {
      code = info(options.json === true);
    });
  cli
    .command("selftest", "Try every doorbell this machine has with two ranks: a line a check, exit code 0 or 1")
    .option("--doorbell <kind>", `Only this one, which must work then: ${DOORBELLS.join(", ")}`)
    .option("--json", "The same for programs")
    .action(async ({ doorbell, json }: { doorbell?: unknown; json?: boolean }) => {
      code = await selftest(doorbell === undefined ? undefined : parseDoorbell(doorbell), json === true);
    });
  const benchCommand = cli
    .command("bench", "Hold Carillon against the other ways of doing it, on this machine, side by side")
    .example("  $ carillon bench --quick")
    .example("  $ carillon bench --only roundtrip-8B,rate --rounds 30")
    .action(async (options: Record<string, unknown>) => {
      code = await bench(options);
    });
  for (const [name, meaning] of BENCH_OPTIONS) benchCommand.option(name, meaning);
  cli.help().version(version());
  cli.parse(["node", "carillon", ...withValues(words)], { run: false });
  if (cli.options.help || cli.options.version) return 0;
  if (cli.matchedCommand) await cli.runMatchedCommand();
  else if (words.length === 0) cli.outputHelp();
  else throw new WordsError(`there is no command ${words[0]}`);
  return code ?? 0;
}

/** `--json -`: to the parser a word that begins with a dash is the next option, never a value. */
function withValues(words: readonly string[]): string[] {
  return words.reduce<string[]>((all, word) => {
    const before = all.at(-1);
    if (word === "-" && before?.startsWith("--") && !before.includes("=")) all[all.length - 1] = `${before}=-`;
    else all.push(word);
    return all;
  }, []);
}

/** Errors that speak of the command line or the machine, not of a mistake in this program. */
function isExpected(error: unknown): error is Error {
  return error instanceof WordsError || error instanceof CarillonError || (error as Error)?.name === "CACError";
}
