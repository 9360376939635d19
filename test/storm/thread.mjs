// A thread of a stormed rank (rank.mjs): joins, sends to its own rank, leaves; or computes until it is terminated.
import { createRequire } from "node:module";
import { parentPort, workerData } from "node:worker_threads";
import { World } from "carillon";
import { bytes } from "../programs/scenario.mjs";
import { compute } from "./workload.mjs";

const { round, addon } = workerData;
const storm = createRequire(import.meta.url)(addon);
const world = await World.join();
storm.start(20_000_000, 400, 1);
if (round < 0) {
  void world.recv({ source: world.rank, tag: 97 });
  parentPort.postMessage("computes");
  for (let seed = 0; ; ++seed) compute(seed);
}
for (let i = 0; i < 4; ++i) {
  await world.send(bytes(1 + i * 20_000, round + i), { dest: world.rank, tag: 5 });
  compute(round + i);
}
storm.stop();
await world.close();
