// The words after `carillon run`: our own options, node's options, then a script or command whose words are its own.
// Parsed by hand, because a general parser cannot leave the script's words alone. Starts nothing.

import { hasHooks, inspectPort, needsNoScript, takeOption, WordsError } from "../launcher/node-words.js";
import { DOORBELLS, type Doorbell } from "../settings.js";

export interface RunWords {
  readonly size: number;
  readonly wait: "adaptive" | "block" | undefined;
  readonly doorbell: Doorbell | undefined;
  readonly label: boolean;
  /** The script, to be checked before anything starts; undefined for a command or for what node runs by itself. */
  readonly script: string | undefined;
  /** Whether node is given hooks that may find the script where it would not. */
  readonly hooked: boolean;
  /** The command, to be checked before anything starts; undefined where node is it. */
  readonly command: string | undefined;
  /** The command line of a rank. */
  words(rank: number): string[];
}

/**
 * @returns "help" if that is what was asked for
 * @throws WordsError
 */
export function parseRunWords(
  words: readonly string[],
  maxRanks: () => number,
  nodeOptions: string,
): RunWords | "help" {
  let size: number | undefined;
  let wait: RunWords["wait"];
  let doorbell: RunWords["doorbell"];
  let label = false;
  const options: string[] = [];
  let rest = words;
  while (rest[0] !== undefined) {
    const [word, next] = rest as [string, ...string[]];
    if (word === "-h" || word === "--help") return "help";
    const own = /^(?:(-n)=?(.*)|(--wait|--doorbell)(?:=(.*))?)$/s.exec(word);
    if (own) {
      const inline = own[1] ? own[2] || undefined : own[4];
      const value = inline ?? next;
      if (own[1]) size = parseSize(value, maxRanks());
      else if (own[3] === "--wait") wait = parseWait(value);
      else doorbell = parseDoorbell(value);
      rest = rest.slice(inline === undefined ? 2 : 1);
    } else if (word === "--label") {
      label = true;
      rest = rest.slice(1);
    } else {
      const option = takeOption(rest);
      if (!option) break;
      options.push(...option.words);
      rest = rest.slice(option.words.length);
    }
  }
  if (size === undefined) throw new WordsError("how many ranks? Say -n N");
  const common = { size, wait, doorbell, label };
  if (rest[0] === "--") return { ...common, ...parseCommand(options, rest.slice(1)) };
  return { ...common, ...parseScript(options, rest, size, nodeOptions) };
}

type Target = Pick<RunWords, "script" | "hooked" | "command" | "words">;

function parseCommand(options: readonly string[], words: readonly string[]): Target {
  const [command] = words;
  if (!command) throw new WordsError("no command after --");
  if (options[0])
    throw new WordsError(`${options[0]} is for node, but after -- comes a command: write -- node ${options[0]} …`);
  return { script: undefined, hooked: false, command, words: () => [...words] };
}

function parseScript(options: readonly string[], rest: readonly string[], size: number, nodeOptions: string): Target {
  const script = needsNoScript(options) ? undefined : rest[0];
  if (script === "-") throw new WordsError("a script on stdin would reach rank 0 only: give its file");
  if (!script && !needsNoScript(options)) throw new WordsError("no script to run");
  const ports = Array.from({ length: size }, (_, rank) => inspectPort(options, nodeOptions, rank));
  return {
    script,
    hooked: hasHooks(options),
    command: undefined,
    words: (rank) => [process.execPath, ...options, ...(ports[rank] ?? []), ...rest],
  };
}

function parseSize(value: string | undefined, maxRanks: number): number {
  const size = /^\d+$/.test(value ?? "") ? Number(value) : 0;
  if (size >= 1 && size <= maxRanks) return size;
  const found = value === undefined ? "but nothing follows it" : `not ${JSON.stringify(value)}`;
  throw new WordsError(`-n takes a whole number of ranks from 1 to ${maxRanks}, ${found}`);
}

function parseWait(value: string | undefined): "adaptive" | "block" {
  if (value === "adaptive" || value === "block") return value;
  const found = value === undefined ? "but nothing follows it" : `not ${JSON.stringify(value)}`;
  throw new WordsError(`--wait takes adaptive or block, ${found}`);
}

/** @throws WordsError */
export function parseDoorbell(value: unknown): Doorbell {
  if ((DOORBELLS as readonly unknown[]).includes(value)) return value as Doorbell;
  const found = value === undefined ? "but nothing follows it" : `not ${JSON.stringify(value)}`;
  throw new WordsError(`--doorbell takes ${DOORBELLS.join(", ")}, ${found}`);
}
