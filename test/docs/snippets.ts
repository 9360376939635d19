// Finds the code blocks of the documentation and type-checks them, each as a module of its own that imports the built
// package, as a reader's program would.
// Not responsible for running them (run.ts).
import { readFileSync } from "node:fs";
import { join, relative } from "node:path";
import ts from "typescript";
import { ROOT } from "./documents.js";

export interface Snippet {
  /** The document, relative to the repository. */
  readonly file: string;
  /** Where its first line of code is, counted from 1. */
  readonly line: number;
  readonly language: "ts" | "js";
  readonly code: string;
  /** A ```ts fragment: may use what test/docs/ambient.d.ts declares. */
  readonly fragment: boolean;
  /** From a first line `// run: N`: how many ranks run it; "node": it starts its ranks by itself. */
  readonly ranks: number | "node" | undefined;
  /** The ```text block that follows: what a run prints. */
  readonly output: string | undefined;
}

interface Block {
  readonly line: number;
  readonly info: readonly string[];
  readonly text: string;
}

const LANGUAGES: Readonly<Record<string, "ts" | "js">> = { ts: "ts", typescript: "ts", js: "js", javascript: "js" };

export function snippetsOf(path: string): Snippet[] {
  return snippetsIn(relative(ROOT, path), readFileSync(path, "utf8"));
}

export function snippetsIn(file: string, markdown: string): Snippet[] {
  const blocks = blocksOf(markdown);
  return blocks.flatMap(({ line, info: [language = "", ...words], text: code }, i) => {
    const script = LANGUAGES[language];
    if (script === undefined) return [];
    const ranks = /^\/\/ run: (\d+|node)\s*$/m.exec(code.split("\n", 1)[0] ?? "")?.[1];
    const next = blocks[i + 1];
    return {
      file,
      line,
      language: script,
      code,
      fragment: words.includes("fragment"),
      ranks: ranks === undefined || ranks === "node" ? ranks : Number(ranks),
      output: next?.info[0] === "text" ? next.text : undefined,
    };
  });
}

function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = [];
  let open: { fence: string; indent: number; line: number; info: string[]; lines: string[] } | undefined;
  for (const [index, text] of markdown.split("\n").entries()) {
    const fence = /^(\s*)(`{3,}|~{3,})\s*(.*)$/.exec(text);
    if (open === undefined) {
      if (fence === null) continue;
      const [, indent = "", marker = "", info = ""] = fence;
      open = { fence: marker, indent: indent.length, line: index + 2, info: info.trim().split(/\s+/), lines: [] };
    } else if (fence?.[2]?.startsWith(open.fence) && fence[3] === "") {
      blocks.push({ line: open.line, info: open.info, text: open.lines.join("\n") });
      open = undefined;
    } else {
      open.lines.push(text.slice(Math.min(open.indent, text.length - text.trimStart().length)));
    }
  }
  return blocks;
}

/** JavaScript needs no type annotations: what its parameters lack is no error. */
const IMPLICIT_ANY = new Set([7005, 7006, 7018, 7019, 7022, 7031, 7034, 7053]);

/** What is wrong with each snippet, in its document's line numbers. Fragments are one program, the others another. */
export function check(snippets: readonly Snippet[]): Map<Snippet, string[]> {
  const sources = new Map<string, ts.SourceFile | undefined>();
  const found = new Map<Snippet, string[]>();
  for (const fragment of [false, true]) {
    const mine = new Map(snippets.filter((s) => s.fragment === fragment).map((s) => [pathOf(s), s]));
    const ambient = fragment ? [join(ROOT, "test/docs/ambient.d.ts")] : [];
    const host = hostOver(mine, sources);
    const program = ts.createProgram([...mine.keys(), ...ambient], options(), host);
    for (const [path, snippet] of mine) found.set(snippet, problems(program, path, snippet));
  }
  return found;
}

function problems(program: ts.Program, path: string, snippet: Snippet): string[] {
  const source = program.getSourceFile(path);
  const all = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
  return all
    .filter(({ code }) => snippet.language === "ts" || !IMPLICIT_ANY.has(code))
    .map(({ file, start, messageText }) => {
      const line = file && start !== undefined ? file.getLineAndCharacterOfPosition(start).line + 1 : snippet.line;
      return `${snippet.file}:${line}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`;
    });
}

function pathOf({ file, line, language }: Snippet): string {
  return join(ROOT, `${file}.${line}.${language}`);
}

function options(): ts.CompilerOptions {
  const path = join(ROOT, "tsconfig.json");
  const { options, errors } = ts.parseJsonConfigFileContent(
    ts.readConfigFile(path, ts.sys.readFile).config,
    ts.sys,
    ROOT,
  );
  const fatal = errors.find(({ category }) => category === ts.DiagnosticCategory.Error && options.target === undefined);
  if (fatal) throw new Error(ts.flattenDiagnosticMessageText(fatal.messageText, "\n"));
  // The package's own output is what snippets import; a rootDir would make it look for the sources instead.
  const { rootDir: _, outDir: __, declaration: ___, sourceMap: ____, ...rest } = options;
  return { ...rest, noEmit: true, allowJs: true, checkJs: true, moduleDetection: ts.ModuleDetectionKind.Force };
}

/** Snippets exist only here, everything else on disk; parsed files are shared between programs. */
function hostOver(snippets: Map<string, Snippet>, sources: Map<string, ts.SourceFile | undefined>): ts.CompilerHost {
  const host = ts.createCompilerHost(options());
  const { fileExists, readFile, getSourceFile } = host;
  // Empty lines in front make the document's line numbers those of the program.
  const textOf = (path: string) => {
    const snippet = snippets.get(path);
    return snippet && "\n".repeat(snippet.line - 1) + snippet.code;
  };
  host.fileExists = (path) => snippets.has(path) || fileExists(path);
  host.readFile = (path) => textOf(path) ?? readFile(path);
  host.getSourceFile = (path, languageVersion, ...rest) => {
    if (!sources.has(path)) {
      const text = textOf(path);
      const source =
        text === undefined
          ? getSourceFile(path, languageVersion, ...rest)
          : ts.createSourceFile(path, text, languageVersion, true);
      sources.set(path, source);
    }
    return sources.get(path);
  };
  return host;
}
