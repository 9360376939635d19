// A thread of a rank that ends: it talks with a handle of its own, or it is parked in front of a queue.
import { parentPort } from "node:worker_threads";
import { MessageQueue, World } from "carillon";
import { check, emptyCounts, LINES, QUEUED, talk } from "./lines.mjs";
import { generator } from "./moments.mjs";

parentPort.on("message", async ({ parks, talks }) => {
  if (parks) {
    const queue = MessageQueue.from(parks);
    for (let message = queue.take(); message; message = queue.take()) check(message, LINES[QUEUED]);
    parentPort.close(); // which lets the process end
  }
  if (talks) {
    const world = await World.join();
    talk(world, 0, { ...talks, next: generator(talks.seed, "thread", world.rank), counts: emptyCounts() });
  }
});
parentPort.postMessage("ready");
