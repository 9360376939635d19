// A world that one rank aborts while the others compute: argument 1 is the rank, 2 the code, 3 "thread" or "main".
import { writeSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { launch, World } from "carillon";

const [who, code, where, launched] = process.argv.slice(2);
const world =
  launched === "launch" && process.env.CARILLON_RANK === undefined
    ? await launch({ size: 3, script: new URL(import.meta.url), args: [who, code, where, "launch"] })
    : await World.join();
writeSync(1, `pid=${process.pid}\n`);
// Everybody is here, and has said so.
const parent = launched === "launch" && world.rank === 0;
// The parent lives on: another may have ended before it told the parent that it came.
await world.barrier().catch((error) => {
  if (!parent) throw error;
});
if (world.rank === Number(who)) {
  if (where === "thread") {
    const abort = `import("carillon").then(async ({ World }) => (await World.join()).abort(${code}));`;
    new Worker(abort, { eval: true });
    for (;;);
  }
  world.abort(Number(code));
}
if (parent) {
  const heard = await Promise.allSettled([1, 2].map((source) => world.recv({ source })));
  for (const { reason } of heard) writeSync(1, `heard ${reason.code} of ${reason.rank}\n`);
  await world.close();
} else {
  for (;;);
}
