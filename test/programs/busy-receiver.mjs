// The program of test/busy-receiver.test.ts: rank 1's JavaScript computes while rank 0's large message arrives.
// Both say when things happened, by the clock that all processes of a machine share.
import assert from "node:assert/strict";
import { createConnection, createServer } from "node:net";
import { World } from "carillon";
import { bytes, same, say } from "./scenario.mjs";

const [where] = process.argv.slice(2);
const world = await World.join();
const now = () => Number(process.hrtime.bigint() / 1000n);
const body = bytes(1 << 20, 1);
const into = new Uint8Array(new SharedArrayBuffer(body.length));
const path = `\0carillon-test-${process.env.CARILLON_JOB}`;

function compute() {
  const start = now();
  while (now() - start < 1_000_000);
  say({ computedFrom: start, until: now() });
}

/** A line of its own, beside Carillon. */
function connection() {
  if (world.rank === 1) {
    return new Promise((resolve) => {
      const server = createServer((socket) => {
        server.close();
        resolve(socket);
      });
      server.listen(path, () => void world.send("listening", { dest: 0 }));
    });
  }
  return world.recv({ source: 1 }).then(
    () =>
      new Promise((resolve) => {
        const socket = createConnection(path, () => resolve(socket));
      }),
  );
}

if (world.rank === 1) {
  const socket = await connection();
  const receive = world.recv({ source: 0, tag: 1, into });
  const computed = new Promise((resolve) => {
    const begin = () => {
      socket.write("computing");
      compute();
      resolve();
    };
    // The wake-up by this socket and the one by the message come in the same turn of the loop, or close to it.
    if (where === "socket") socket.once("data", begin);
    else setTimeout(begin, 1);
  });
  await world.send("ready", { dest: 0, tag: 2 });
  await computed;
  same((await receive).data, body);
  socket.end();
} else {
  const socket = await connection();
  await world.recv({ source: 1, tag: 2 });
  const heard = new Promise((resolve) => socket.once("data", resolve));
  let sent;
  if (where === "socket") {
    // Data first, the message right behind it.
    socket.write("compute!");
    sent = world.send(body, { dest: 1, tag: 1 });
    await heard;
  } else {
    await heard;
    sent = world.send(body, { dest: 1, tag: 1 });
  }
  await sent;
  say({ sent: now() });
  assert.equal(sent.state, "fulfilled");
  socket.end();
}
await world.close();
