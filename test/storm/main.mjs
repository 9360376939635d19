// npm run storm [-- runs [seconds]]: the interrupt handler fired into a JavaScript workload while messages of all protocols flow, until it has
// run a million times (or as told), or for so many seconds at most. Builds the addon that fires it; says what ran, and exits with 1 at the first harm.
import { spawn } from "node:child_process";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { buildAddon } from "../support/addon.mjs";

const RANKS = 3;
const [runs = "1000000", seconds = "3600"] = process.argv.slice(2);
if (!/^[1-9]\d*$/.test(runs) || !/^[1-9]\d*$/.test(seconds)) {
  console.error("usage: npm run storm [-- runs [seconds]]");
  process.exit(2);
}

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, "../..");
const addon = buildAddon(join(here, "storm.cc"));

const begun = performance.now();
const words = ["run", "-n", String(RANKS), "--doorbell", "signal", join(here, "rank.mjs"), runs, seconds, addon];
const job = spawn(process.execPath, [join(root, "dist/src/cli/main.js"), ...words], {
  stdio: ["ignore", "pipe", "inherit"],
});
const said = [];
createInterface({ input: job.stdout }).on("line", (line) => {
  const report = line.match(/\{"rank".*\}/);
  if (report) said.push(JSON.parse(report[0]));
  else console.log(line);
});
job.once("close", (code, signal) => {
  const sum = (key) => said.reduce((all, each) => all + each[key], 0);
  const took = Math.round((performance.now() - begun) / 1000);
  if (code !== 0 || said.length !== RANKS) {
    console.log(`harm (${signal ?? `status ${code}`}) after ${took} s`);
    process.exit(1);
  }
  console.log(
    `${sum("handlerRuns")} handler runs in ${took} s, ${sum("guardHeld")} of them where the guard was held, ${sum("interrupts")} for a peer's ring`,
  );
  console.log(
    `${sum("checked")} messages of ${Math.round(sum("checkedBytes") / 2 ** 20)} MiB, ${said[0].rounds} rounds: every byte as it was sent`,
  );
});
