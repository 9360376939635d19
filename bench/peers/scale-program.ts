// One of many processes that show what a rank costs. The first word of the command line says how far it goes: `bare` imports
// nothing of Carillon, `import` imports it, `join` joins; then it waits, and ranks answer `alltoall BYTES RANKS`: everyone sends
// to everyone, and each says when it began and when it had everything. A world of one sends as many messages to itself.
import { answer, onCommand } from "./serve.js";

const stage = process.argv[2];
const carillon = stage === "bare" ? undefined : await import("carillon");
const world = stage === "join" ? await carillon?.World.join() : undefined;
answer("ready");
let turn = 0;

onCommand(async ([, number, size]) => {
  if (world === undefined) throw new Error("this process has joined no world");
  const bytes = Number(number);
  const tag = turn++;
  const start = process.hrtime.bigint();
  // Each begins with its neighbour, or all of them would fall upon rank 0.
  const others = Array.from({ length: Number(size) - 1 }, (_, i) => (world.rank + 1 + i) % world.size);
  const received = others.map((source) => world.recv({ source, tag }));
  const sent = others.map((dest) => {
    return world.send(new Uint8Array(bytes).fill(fill(world.rank, dest)), { dest, tag });
  });
  for (const { source, data } of await Promise.all(received)) {
    const wanted = fill(source, world.rank);
    if (data.length !== bytes || data.some((byte) => byte !== wanted))
      throw new Error(`rank ${source} sent other bytes`);
  }
  await Promise.all(sent);
  answer(`${start} ${process.hrtime.bigint()}`);
});

function fill(source: number, dest: number): number {
  return (source * 31 + dest * 7 + 1) & 255;
}
