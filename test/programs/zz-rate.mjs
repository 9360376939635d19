import { World } from "carillon";
const world = await World.join();
import { execSync } from "node:child_process";
if (process.env.PIN) execSync(`taskset -acp ${world.rank} ${process.pid}`);
process.title = "zrank" + world.rank;
const N = 400000, W = 64;
const body = new Uint8Array(64);
for (let round = 0; round < 5; round++) {
  const t = performance.now(); const cpu = process.cpuUsage();
  if (world.rank === 0) {
    let slow = 0;
    for (let i = 0; i < N; i++) { const r = world.send(body, { dest: 1 }); if (r.state === "pending") { slow++; await r; } }
    await world.recv({ source: 1 });
    const c = process.cpuUsage(cpu); console.log("send", (N / (performance.now() - t) / 1e3).toFixed(3), "M/s", "pending", slow, "cpu ns/msg", ((c.user + c.system) * 1e3 / N).toFixed(0));
  } else {
    for (let i = 0; i < N; i++) await world.recv({ source: 0 });
    const c = process.cpuUsage(cpu); console.log("recv cpu ns/msg", ((c.user + c.system) * 1e3 / N).toFixed(0), JSON.stringify(world.stats()));
    await world.send(1, { dest: 0 });
  }
}
await world.close();
