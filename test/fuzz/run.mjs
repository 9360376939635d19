// npm run fuzz [-- target [seconds]]: builds the fuzz targets with clang and runs them, one after the other, from the
// committed corpus. What it learns and what it finds goes to build/fuzz. Not responsible for replaying what was found
// once (test/native/run.sh does that, without clang).
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const output = join(root, "build/fuzz");
const targets = {
  peer: {
    sources: ["test/fuzz/peer_fuzz.cc", "test/fuzz/side.cc", "native/engine_unit.cc"],
    flags: ["-DCARILLON_SIM"],
    longest: 512,
  },
  handshake: {
    sources: ["test/fuzz/handshake_fuzz.cc", "native/bootstrap/client.cc", "native/bootstrap/segment.cc"],
    flags: [],
    longest: 512,
  },
};

const given = process.argv.slice(2);
const seconds = given.length > 0 && /^\d+$/.test(given.at(-1)) ? Number(given.pop()) : 600;
const names = given.length > 0 ? given : Object.keys(targets);
for (const name of names) {
  if (name in targets) continue;
  console.error(
    `fuzz: there is no target "${name}" (${Object.keys(targets).join(", ")}); usage: npm run fuzz [-- target [seconds]]`,
  );
  process.exit(2);
}

const compiler = process.env.FUZZ_CXX ?? "clang++";
if (spawnSync(compiler, ["--version"]).status !== 0) {
  console.error(
    `fuzz: ${compiler} does not run; libFuzzer is clang's (apt-get install clang), or name one in FUZZ_CXX`,
  );
  process.exit(1);
}

let failed = 0;
for (const name of names) {
  const { sources, flags, longest } = targets[name];
  const program = join(output, name);
  const learnt = join(output, `corpus-${name}`);
  const found = join(output, `found-${name}`);
  for (const folder of [learnt, found]) mkdirSync(folder, { recursive: true });
  const common = ["-std=c++20", "-g", "-O1", "-Wall", "-Wextra", "-fno-omit-frame-pointer"];
  const sanitizers = ["-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"];
  const run = (command, args) => spawnSync(command, args, { cwd: root, stdio: "inherit" }).status;
  if (run(compiler, [...common, ...sanitizers, ...flags, ...sources, "-o", program]) !== 0) process.exit(1);

  const seeds = ["corpus", "findings"].map((kind) => join(root, "test/fuzz", kind, name)).filter(existsSync);
  const status = run(program, [
    `-max_total_time=${seconds}`,
    `-max_len=${longest}`,
    "-len_control=0", // long programs from the start: what needs many steps is found sooner
    "-timeout=20",
    "-verbosity=0",
    "-print_final_stats=1",
    `-artifact_prefix=${found}/`,
    learnt,
    ...seeds,
  ]);
  if (status === 0) {
    console.log(`ok   ${name}: ${seconds} s, nothing found`);
    continue;
  }
  failed++;
  console.log(`FAIL ${name}: found something. To see it again:`);
  for (const file of readdirSync(found))
    console.log(`     ${relative(root, program)} ${relative(root, join(found, file))}`);
  console.log(
    `     Once it is mended, its file goes to test/fuzz/findings/${name}: test/native/run.sh replays it from then on.`,
  );
}
process.exit(failed > 0 ? 1 : 0);
