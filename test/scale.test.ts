// Many ranks on one machine: all of them talk to each other correctly, and a world costs little memory.
import { expect, test } from "vitest";
import { ranks } from "./support/ranks.js";
import { thorough } from "./support/thorough.js";

const PROGRAM = "scale.mjs";
/** Many processes on a machine that may be busy: only ends what hangs. */
const PATIENCE = 300_000;
const MIB = 1 << 20;
const KIB = 1 << 10;

thorough("64 ranks send each other messages of every size, in order", { timeout: PATIENCE }, async () => {
  const job = ranks(64, PROGRAM, ["allToAll"], { patience: PATIENCE });
  await job.endedWell();
  const joined = job.all.map((each) => each.said.find((said) => "joined" in said)?.joined as number);
  console.log(
    `64 ranks: join took ${Math.round(Math.min(...joined))} to ${Math.round(Math.max(...joined))} ms after Node`,
  );
});

async function costs(size: number): Promise<Record<"world" | "own" | "spoken", number>> {
  const job = ranks(size, PROGRAM, ["costs"], { execArgv: ["--expose-gc"], patience: PATIENCE });
  await job.endedWell();
  const said = job.all.map((each) => Object.assign({}, ...each.said));
  return { world: median(said, "world"), own: median(said, "own"), spoken: median(said, "spoken") };
}

/** In a few ranks V8 gives back a MiB of its heap just then. */
function median(said: Record<string, number>[], key: string): number {
  const sorted = said.map((each) => each[key] as number).sort((a, b) => a - b);
  return sorted[sorted.length >> 1] as number;
}

test("a rank costs less than 8 MiB beyond Node, its import included", { timeout: PATIENCE }, async () => {
  const job = ranks(2, "resident.mjs", [], { patience: PATIENCE });
  await job.endedWell();
  const costs = await Promise.all(job.all.map(async (each) => (await each.hears("rank")).rank as number));
  console.log(`a rank of 2: ${costs.map((each) => (each / MIB).toFixed(1)).join(", ")} MiB beyond Node`);
  expect(Math.max(...costs)).toBeLessThan(8 * MIB);
});

thorough("a world costs less than 8 MiB, an idle pair less than 96 KiB", { timeout: PATIENCE }, async () => {
  const small = await costs(2);
  const large = await costs(18);
  // Both processes of a pair pay for it.
  const idle = (2 * (large.own - small.own)) / 16;
  const spoken = (2 * (large.spoken - small.spoken)) / 16;
  const shown = [small.world / MIB, large.world / MIB, idle / KIB, spoken / KIB].map((each) => each.toFixed(1));
  console.log(
    `a world of 2 / 18: ${shown[0]} / ${shown[1]} MiB; a pair: ${shown[2]} KiB, ${shown[3]} KiB after a word`,
  );
  expect(small.world).toBeLessThan(8 * MIB);
  expect(large.world).toBeLessThan(8 * MIB);
  expect(idle).toBeLessThan(96 * KIB);
  expect(spoken).toBeLessThan(96 * KIB);
});
