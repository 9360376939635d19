// Runs a snippet of the documentation as its reader would: from a folder of its own where the package is installed. README.md's by
// `carillon run`, all others without its process, which costs as much as a rank and is tested in test/cli.
// Not responsible for its types (snippets.ts).
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import ts from "typescript";
import { native } from "../../dist/src/native.js";
import { ROOT } from "./documents.js";
import type { Snippet } from "./snippets.js";

const LAUNCHER = join(ROOT, "dist/src/cli/main.js");

export interface Run {
  /** Of the rank that failed first; null: it was killed. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export async function run(snippet: Snippet): Promise<Run> {
  const folder = mkdtempSync(join(tmpdir(), "carillon-snippet-"));
  try {
    mkdirSync(join(folder, "node_modules"));
    symlinkSync(ROOT, join(folder, "node_modules/carillon"));
    symlinkSync(join(ROOT, "node_modules/rxjs"), join(folder, "node_modules/rxjs")); // one copy for both, as a package manager has it
    const script = join(folder, "snippet.mjs");
    writeFileSync(script, javascript(snippet));
    if (snippet.ranks === "node") return await node([script], folder).ended;
    if (snippet.file === "README.md")
      return await node([LAUNCHER, "run", "-n", String(snippet.ranks), script], folder).ended;
    return await job(script, folder, snippet.ranks ?? 1);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** As `carillon run` does it: when a rank fails, the others end, and the job has its code. */
async function job(script: string, folder: string, size: number): Promise<Run> {
  const hub = native().openHub(size);
  try {
    let failed: number | null | undefined;
    const ranks = Array.from({ length: size }, (_, rank) => {
      const identity = { CARILLON_JOB: hub.address, CARILLON_RANK: String(rank), CARILLON_SIZE: String(size) };
      const { child, ended } = node([script], folder, identity);
      child.once("exit", (code, signal) => {
        hub.ended(rank, code ?? 0, signal ? constants.signals[signal] : 0);
        if (code === 0 || failed !== undefined) return;
        failed = code;
        for (const other of ranks) other.child.kill("SIGKILL");
      });
      return { child, ended };
    });
    const runs = await Promise.all(ranks.map(({ ended }) => ended));
    const all = (stream: "stdout" | "stderr") => runs.map((each) => each[stream]).join("");
    return { code: failed === undefined ? 0 : failed, stdout: all("stdout"), stderr: all("stderr") };
  } finally {
    hub.close();
  }
}

function node(words: string[], folder: string, identity: Record<string, string> = {}) {
  const env = { ...process.env, ...identity };
  const child = spawn(process.execPath, words, { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
  const closed = new Promise<number | null>((resolve, reject) => child.on("error", reject).on("close", resolve));
  const ended = Promise.all([closed, text(child.stdout), text(child.stderr)]).then(
    ([code, stdout, stderr]): Run => ({ code, stdout, stderr }),
  );
  return { child, ended };
}

function javascript({ code, language }: Snippet): string {
  if (language === "js") return code;
  const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true };
  return ts.transpileModule(code, { compilerOptions }).outputText;
}

/** Ranks run side by side: only what is printed counts, not in which order. */
export function linesOf(output: string): string[] {
  return output
    .split("\n")
    .map((line) => line.trimEnd())
    .filter((line) => line !== "")
    .sort();
}
