// A rank that has talked to its neighbours and now waits for a message that never comes. Ends with its stdin.
import { World } from "carillon";
import { answer, onCommand } from "./serve.js";

const ROUNDS = 200;
const world = await World.join();
const right = (world.rank + 1) % world.size;
const left = (world.rank + world.size - 1) % world.size;

// An adaptive wait that has been given reasons to wait must still come to rest.
for (let i = 0; i < ROUNDS; i++) {
  await world.send(i, { dest: right });
  await world.recv({ source: left });
}
world.recv({ tag: 1 });
onCommand(async () => {});
answer("ready");
