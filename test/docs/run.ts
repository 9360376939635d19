// Runs a snippet of the documentation as its reader would: from a folder of its own where the package is installed.
// Not responsible for its types (snippets.ts).
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import ts from "typescript";
import { ROOT } from "./documents.js";
import type { Snippet } from "./snippets.js";

const LAUNCHER = join(ROOT, "dist/src/cli/main.js");

export interface Run {
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
    const words = snippet.ranks === "node" ? [script] : [LAUNCHER, "run", "-n", String(snippet.ranks), script];
    const child = spawn(process.execPath, words, {
      cwd: folder,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const ended = new Promise<number | null>((resolve, reject) => child.on("error", reject).on("close", resolve));
    const [code, stdout, stderr] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
    return { code, stdout, stderr };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
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
