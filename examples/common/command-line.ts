// What the examples' command lines have in common: options by cac, help and mistakes told once, not by every rank.
// Responsible for reading words and for clear ends; what an example can be asked is its own business (its options.ts).
import { accessSync, constants, statSync } from "node:fs";
import { dirname } from "node:path";
import type { CAC } from "cac";
import type { World } from "carillon";

/** A mistake of the user's: to be told in one line, without a stack. */
export class UsageError extends Error {}

/** Somebody asked for --help: there is nothing to compute. */
export class HelpWanted extends Error {
  constructor(readonly print: () => void) {
    super("help wanted");
  }
}

/** What was given, by the options' names: cac turns what looks like a number into one. */
export type Given = Readonly<Record<string, unknown>>;

/**
 * Reads `words` by the options that `cli` declares. Its help begins with what the example is about.
 * @throws UsageError, HelpWanted
 */
export function parseWords(cli: CAC, about: string, words: readonly string[]): Given {
  cli.help(([, ...sections]) => [{ body: about }, ...sections.map(withoutNegatedDefaults)]);
  cli.showHelpOnExit = false; // that is for rank 0 alone
  cli.parse(["node", cli.name, ...words], { run: false });
  const given: Given = cli.options;
  if (given.help) throw new HelpWanted(() => cli.outputHelp());
  try {
    cli.globalCommand.checkUnknownOptions();
    cli.globalCommand.checkOptionValue();
    cli.globalCommand.checkUnusedArgs();
  } catch (error) {
    throw new UsageError(`${(error as Error).message} (--help lists what there is)`);
  }
  for (const [name, value] of Object.entries(given)) {
    if (name !== "--" && Array.isArray(value)) throw new UsageError(`--${name} was given ${value.length} times`);
  }
  return given;
}

/** cac says of `--no-check` that its default is true, and means that of `--check`. */
function withoutNegatedDefaults<Section extends { body: string }>(section: Section): Section {
  return { ...section, body: section.body.replace(/^(\s+--no-.*) \(default: true\)$/gm, "$1") };
}

/** A whole number from `least` to `most`. @throws UsageError */
export function wholeNumber(given: Given, name: string, least: number, most: number): number {
  const value = given[name];
  if (Number.isInteger(value) && (value as number) >= least && (value as number) <= most) return value as number;
  throw new UsageError(
    `--${name} takes a whole number from ${least} to ${most.toLocaleString("en-US")}; not "${String(value)}"`,
  );
}

/**
 * The name of a file that can be written: better known before the computation than after it.
 * @throws UsageError
 */
export function writableFile(given: Given, name: string): string {
  const file = String(given[name]);
  try {
    accessSync(dirname(file), constants.W_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(`--${name}: cannot write into the folder of "${file}" (${code})`);
  }
  if (statSync(file, { throwIfNoEntry: false })?.isDirectory())
    throw new UsageError(`--${name}: "${file}" is a folder`);
  return file;
}

/**
 * Runs a program on this rank. All ranks were started with the same words, so each stops at the same mistake, and one of them
 * tells.
 */
export async function runExample(name: string, world: World, program: () => Promise<void>): Promise<void> {
  try {
    await program();
  } catch (error) {
    if (!(error instanceof UsageError || error instanceof HelpWanted)) throw error;
    if (world.rank !== 0) return;
    if (error instanceof HelpWanted) return error.print();
    console.error(`${name}: ${error.message}`);
    process.exitCode = 2;
  }
}
