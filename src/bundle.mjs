// Builds the package's JavaScript from src and workers: one file with what every rank needs, and beside it what only some do. A
// rank pays 0.1 MiB for each module it loads (docs/architecture.md), and entry points that share a file share its state.
// Not responsible for types and declarations, nor for examples and bench: `tsc -b` is; of the bench only the library that draws
// its pictures is bundled, which the package does not depend on.
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "rolldown";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, "dist");

removeOld();
await build({
  cwd: root,
  input: {
    "src/index": "src/index.ts",
    "src/pool": "src/pool.ts",
    "src/cli/main": "src/cli/main.ts",
    "src/selftest/rank": "src/selftest/rank.ts",
    "workers/task": "workers/task.ts",
    "workers/notifier": "workers/notifier.ts",
    // For tests and bench, which open hubs by themselves.
    "src/native": "src/native.ts",
  },
  external: ["cac", "piscina", "rxjs"],
  platform: "node",
  tsconfig: "src/tsconfig.json",
  logLevel: "warn",
  output: {
    dir: dist,
    format: "es",
    // Not minified, so that stack traces name lines and functions. What comments tell users is in the declarations.
    comments: { jsdoc: false },
    sourcemap: true,
    chunkFileNames: "src/[name].js",
    codeSplitting: {
      // The pool needs `script` without the rest of the launcher.
      groups: [
        { name: "core", test: /\/src\/(?!cli\/|launcher\/|selftest\/|trace\/|pool[./])/ },
        // The threads of a pool need `find` without the rest of the core.
        { name: "find", test: /\/src\/pool\/find\.ts/ },
        { name: "timeline", test: /\/src\/trace\// },
        { name: "script", test: /\/src\/launcher\/script\.ts/ },
        { name: "job", test: /\/src\/launcher\// },
      ],
    },
  },
});

await bundlePlotting();

/** One file with what is used of Vega, in place of what `tsc -b` made, and the licences of all that is in it. */
async function bundlePlotting() {
  const file = join(dist, "bench/report/vega.js");
  const licences = join(dist, "bench/report/vega.licences.txt");
  // A second or two, saved where it is as new as what it is made of.
  const made = existsSync(licences) ? statSync(licences).mtimeMs : 0;
  if ([file, join(root, "package-lock.json")].every((from) => statSync(from).mtimeMs <= made)) return;
  const { output } = await build({
    cwd: root,
    input: "bench/report/vega.ts",
    external: ["canvas"], // measures texts where it is installed
    platform: "node",
    logLevel: "warn",
    output: { file, format: "es", minify: true },
  });
  const modules = output.flatMap((chunk) => Object.keys(chunk.modules ?? {}));
  const packages = new Set(modules.flatMap((id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id)?.[0] ?? []));
  writeFileSync(licences, [...packages].sort().map(licenceOf).join("\n"));
}

function licenceOf(folder) {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
  if (file === undefined) throw new Error(`${name} has no licence file to be kept with what is bundled`);
  return `${name} ${version} (${license})\n\n${readFileSync(join(folder, file), "utf8").trim()}\n`;
}

/** What an earlier build left would be published, and a second copy of a module has a state of its own. */
function removeOld() {
  for (const file of readdirSync(join(dist, "bench"), { recursive: true })) {
    const source = join(root, "bench", file.replace(/\.js(\.map)?$/, ".ts"));
    if (/\.js(\.map)?$/.test(file) && !existsSync(source)) rmSync(join(dist, "bench", file));
  }
  for (const folder of ["src", "workers"].map((name) => join(dist, name)).filter(existsSync)) {
    for (const file of readdirSync(folder, { recursive: true })) {
      if (/\.js(\.map)?$/.test(file)) rmSync(join(folder, file));
    }
  }
}
