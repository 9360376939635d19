// Builds an addon that a test needs, of one file, as the tests that run without npm do it. Not the addon itself (native/build.mjs).
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");

/** Where the addon was built has Node's headers. */
function headers() {
  const configured = readFileSync(join(root, "build/config.gypi"), "utf8").match(/"nodedir": "([^"]*)"/)?.[1];
  const places = [configured, resolve(dirname(process.execPath), "..")].filter(Boolean);
  return places.map((place) => join(place, "include/node")).find((each) => existsSync(join(each, "node_api.h")));
}

/** The path of what became of this source, until the process ends. Ends it when the compiler fails, which says why. */
export function buildAddon(source) {
  const folder = mkdtempSync(join(tmpdir(), "carillon-addon-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const addon = join(folder, basename(source).replace(/\.cc$/, ".node"));
  const flags = ["-std=c++20", "-O2", "-fPIC", "-shared", `-I${headers()}`];
  const built = spawnSync(process.env.CXX ?? "g++", [...flags, source, "-o", addon], { stdio: "inherit" });
  if (built.status !== 0) process.exit(1);
  return addon;
}
