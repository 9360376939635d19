// npm run soak [-- kills [seed]]: ranks killed in every protocol for as long as it takes (10,000 kills unless told otherwise),
// nine of ten without Node (test/native/kill), one of ten real Node.js ranks (test/faults.test.ts). Prints its progress; at the
// first harm it says how to run that again and exits with 1.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Ranks that one run of test/faults.test.ts kills for each of its jobs: 10 in each of three tests. */
const KILLS_A_JOB = 30;

const [kills = "10000", seed = String(Date.now())] = process.argv.slice(2);
if (!/^[1-9]\d*$/.test(kills) || !/^[1-9]\d*$/.test(seed)) {
  console.error("usage: npm run soak [-- kills [seed]]");
  process.exit(2);
}

function run(what, command, words, env = {}) {
  console.log(`\n=== ${what}`);
  const { status, signal } = spawnSync(command, words, { stdio: "inherit", env: { ...process.env, ...env } });
  if (status === 0) return;
  console.log(`=== ${what}: harm (${signal ?? `status ${status}`}) after ${Math.round(performance.now() / 1000)} s`);
  process.exit(1);
}

const folder = mkdtempSync(join(tmpdir(), "carillon-soak-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const program = join(folder, "kill_test");
run("building", "sh", ["test/native/kill/build.sh", program]);
const native = Math.ceil(Number(kills) * 0.9);
run(`${native} kills of ranks without Node, seed ${seed}`, program, ["--kills", String(native), "--seed", seed]);
const jobs = Math.ceil((Number(kills) - native) / KILLS_A_JOB);
run(`${jobs * KILLS_A_JOB} kills of Node.js ranks`, "npx", ["vitest", "run", "--bail=1", "test/faults.test.ts"], {
  CARILLON_TEST_ALL: "1",
  CARILLON_KILL_JOBS: String(Math.max(1, jobs)),
});
console.log(`\nno harm in ${Math.round(performance.now() / 1000)} s`);
