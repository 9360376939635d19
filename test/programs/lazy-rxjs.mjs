// For test/streams.test.ts: that RxJS is loaded by the first stream, not before. So it imports none by itself.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { World } from "carillon";

const { cache } = createRequire(import.meta.url);
const loaded = () => Object.keys(cache).some((path) => path.includes("/node_modules/rxjs/"));

const world = await World.join();
await world.send("to oneself", { dest: 0 });
await world.recv();
assert.ok(!loaded(), "neither importing nor joining, sending and receiving load it");
const stream = world.messages();
assert.ok(loaded());
assert.ok(stream instanceof (await import("rxjs")).Observable);
await world.close();
