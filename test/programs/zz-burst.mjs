import { World } from "carillon";
const world = await World.join();
const N = 1500; const body = new Uint8Array(64); let best = 1e9, bs = 1e9;
for (let round = 0; round < 300; round++) {
  if (world.rank === 0) {
    await world.recv({ source: 1, tag: 1 });
    const t = performance.now();
    for (let i = 0; i < N; i++) world.send(body, { dest: 1 });
    bs = Math.min(bs, (performance.now() - t) * 1e6 / N);
    await world.send(0, { dest: 1, tag: 2 });
  } else {
    world.send(0, { dest: 0, tag: 1 });
    await world.recv({ source: 0, tag: 2 });
    const t = performance.now();
    for (let i = 0; i < N; i++) await world.recv({ source: 0, tag: 0 });
    best = Math.min(best, (performance.now() - t) * 1e6 / N);
  }
}
console.log(world.rank, "best recv ns", best.toFixed(0), "best send ns", bs.toFixed(0));
await world.close();
