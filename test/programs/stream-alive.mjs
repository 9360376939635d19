// For test/streams.test.ts: what keeps a process alive. Nobody closes the world.
import assert from "node:assert/strict";
import { World } from "carillon";

const [how, way] = process.argv.slice(2);
const world = await World.join();
const stream = world.messages();
const got = ({ value }) => {
  assert.equal(value, "late");
  process.stdout.write('{"came":true}\n');
};

if (how === "unref") world.unref();
if (world.size > 1 && world.rank === 0) {
  await world.recv();
  setTimeout(() => world.send("late", { dest: 1 }), 50); // nothing else happens there meanwhile
} else {
  if (way === "subscribe") {
    const subscription = stream.subscribe((message) => {
      got(message);
      subscription.unsubscribe();
    });
  } else if (way === "readable") {
    const readable = stream.toReadable().once("data", (message) => {
      got(message);
      readable.destroy();
    });
  } else {
    const iterator = stream[Symbol.asyncIterator]();
    iterator.next().then((result) => {
      got(result.value);
      iterator.return();
    });
  }
  if (world.size > 1) await world.send(null, { dest: 0 });
}
