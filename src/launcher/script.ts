// Whether what shall be launched exists, asked before anything is started.
// Not responsible for reading it: node and the kernel do, and may still refuse.
import { accessSync, constants, statSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { CarillonError } from "../errors.js";

/** Extensions that hooks given to node (`--import`, `--require`, …) may teach it to find. */
const HOOKED_EXTENSIONS = [".ts", ".mts", ".cts", ".tsx", ".mjs", ".cjs", ".jsx"];

/**
 * The path of a script, found as `node script` finds it.
 * @throws CarillonError ERR_CARILLON_LAUNCH_FAILED
 */
export function resolveScript(script: string | URL, hooked = false): string {
  const path = scriptPath(script);
  try {
    return createRequire(join(path, "..", "launcher.cjs")).resolve(path);
  } catch {
    const found = hooked && HOOKED_EXTENSIONS.map((extension) => path + extension).find(isFile);
    if (found) return found;
    throw new CarillonError("ERR_CARILLON_LAUNCH_FAILED", `there is no script ${path}`);
  }
}

function scriptPath(script: string | URL): string {
  if (typeof script === "string" && !script.startsWith("file:")) return resolve(script);
  try {
    return fileURLToPath(script);
  } catch (cause) {
    throw new CarillonError("ERR_CARILLON_LAUNCH_FAILED", `${script} is no script on this machine`, { cause });
  }
}

/**
 * Checks that a command can be run, the way execvp looks for it. `found` tells "no such command" from "not executable".
 * @throws CarillonError ERR_CARILLON_LAUNCH_FAILED
 */
export function checkCommand(command: string, path: string | undefined): void {
  const candidates = command.includes("/")
    ? [command]
    : (path ?? "/bin:/usr/bin").split(delimiter).map((folder) => join(folder || ".", command));
  const found = candidates.filter(isFile);
  if (found.some(isExecutable)) return;
  const [first] = found;
  throw new CarillonError(
    "ERR_CARILLON_LAUNCH_FAILED",
    first ? `${first} is not executable` : `there is no command ${command}`,
    { cause: first ? "not executable" : "not found" },
  );
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
