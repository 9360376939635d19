// `carillon run`: from words to an exit code. Checks everything that can be checked before anything is started.
// Not responsible for the running itself (run-job.ts).
import { CarillonError } from "../errors.js";
import { checkCommand, resolveScript } from "../launcher/script.js";
import { native } from "../native.js";
import { runJob } from "./run-job.js";
import { parseRunWords, type RunWords } from "./run-words.js";

/** @returns the exit code, or "help" if that is what was asked for */
export async function run(words: readonly string[]): Promise<number | "help"> {
  const parsed = parseRunWords(words, () => native().maxRanks, process.env.NODE_OPTIONS ?? "");
  if (parsed === "help") return "help";
  const refusal = check(parsed);
  if (refusal !== 0) return refusal;
  const timeline = process.env.CARILLON_TRACE
    ? (await import("../trace/index.js")).Timeline.of(process.env, parsed.size)
    : undefined;
  return runJob(parsed, native().openHub(parsed.size), timeline);
}

function check({ script, hooked, command }: RunWords): number {
  try {
    if (script !== undefined) resolveScript(script, hooked);
    if (command !== undefined) checkCommand(command, process.env.PATH);
    return 0;
  } catch (error) {
    if (!(error instanceof CarillonError)) throw error;
    process.stderr.write(`carillon: ${error.message} [${error.code}]\n`);
    // The shell's codes for a command, ours for a command line that cannot be meant.
    if (command === undefined) return 2;
    return error.cause === "not executable" ? 126 : 127;
  }
}
