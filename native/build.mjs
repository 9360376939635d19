// Builds the native addon and copies it to prebuilds/, where src/native.ts looks for it.
// Responsible for finding headers (those beside the running Node first, so that no download is needed);
// not for compiler flags, which binding.gyp declares.
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, renameSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");

if (process.platform !== "linux" || !["x64", "arm64"].includes(process.arch)) {
  console.error(`carillon: nothing native to build on ${process.platform}-${process.arch} (Linux x64 and arm64 only)`);
  process.exit(0);
}

const gyp = createRequire(import.meta.url).resolve("node-gyp/bin/node-gyp.js");
const prefix = resolve(dirname(process.execPath), "..");
const headers = existsSync(join(prefix, "include/node/node_api.h")) ? [`--nodedir=${prefix}`] : [];
const configured = existsSync(join(root, "build/Makefile"));

function run(...args) {
  const { status, error, stdout, stderr } = spawnSync(
    process.execPath,
    [gyp, ...args, ...headers, "--loglevel=error"],
    {
      cwd: root,
      encoding: "utf8",
      env: { ...process.env, MAKEFLAGS: "--no-print-directory" },
    },
  );
  if (error || status !== 0) {
    console.error(stdout ?? "", stderr ?? "", error ?? "");
    console.error("carillon: the native build failed; it needs python3, make and a C++20 compiler (g++ 11 or newer)");
    process.exit(status || 1);
  }
  if (stderr.trim()) console.error(stderr.trim());
}

// A changed binding.gyp is picked up by the generated Makefile's own regeneration rule; configure once.
if (!configured) run("configure", "--release");
run("build", "--release", "-j", "max");

const target = join(root, "prebuilds", `linux-${process.arch}`);
mkdirSync(target, { recursive: true });
for (const file of ["carillon.node", "carillon-exec"]) {
  // Renamed into place: a process that has the old one mapped keeps it.
  const fresh = join(target, `.${file}.${process.pid}`);
  copyFileSync(join(root, "build/Release", file), fresh);
  renameSync(fresh, join(target, file));
}
