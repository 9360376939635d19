// What a rank has resident beyond Node itself, for test/scale.test.ts: so nothing of Carillon is imported before it is measured.
import { readFileSync } from "node:fs";

const resident = () => Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync("/proc/self/status", "latin1"))[1]) * 1024;
const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

say({ bare: resident() }); // stdout too is Node's
const bare = resident();
const { World } = await import("carillon");
const world = await World.join();
say({ rank: resident() - bare });
await world.close();
