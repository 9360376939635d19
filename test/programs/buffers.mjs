// Scenarios of test/buffers.test.ts: memory that is transferred away at any moment while it is being sent or received into.
import assert from "node:assert/strict";
import { MessageChannel } from "node:worker_threads";
import { bytes, play, random, same } from "./scenario.mjs";

const SIZES = [16, 60, 900, 12_000, 60_000, 300_000, 2_500_000];
const channel = new MessageChannel();
channel.port1.unref();
channel.port2.unref();

/** Every way in which a buffer goes away. */
const TAKES = [
  (buffer) => structuredClone(buffer, { transfer: [buffer] }),
  (buffer) => channel.port1.postMessage(buffer, [buffer]),
  (buffer) => (buffer.transfer ? buffer.transfer() : structuredClone(buffer, { transfer: [buffer] })),
  (buffer) =>
    buffer.transferToFixedLength ? buffer.transferToFixedLength() : structuredClone(buffer, { transfer: [buffer] }),
];

/** A moment: at once, after some turns of the loop, or in the middle of one. */
async function moment(next) {
  const kind = Math.floor(next() * 4);
  if (kind === 1) await null;
  if (kind === 2) for (let i = next() * 3; i > 0; --i) await new Promise((resolve) => setImmediate(resolve));
  if (kind === 3) for (const until = performance.now() + next(); performance.now() < until; );
}

const plan = (count, seed) => {
  const next = random(seed);
  return Array.from({ length: count }, (_, i) => ({ i, size: SIZES[Math.floor(next() * SIZES.length)] }));
};

await play({
  /** Rank 1 takes its `into` away at some moment: the message is intact, or it is told; what comes next is unharmed. */
  async receiving(world, count, seed) {
    const next = random(Number(seed) + 10);
    for (const { i, size } of plan(Number(count), Number(seed))) {
      const sent = bytes(size, i);
      if (world.rank === 0) {
        void world.send(sent, { dest: 1, tag: i % 3 });
        // Rank 1 has settled this one before the next comes.
        await world.recv({ source: 1 });
        continue;
      }
      const buffer = new ArrayBuffer(size);
      const into = next() < 0.5 ? buffer : new Uint8Array(buffer, 8, size - 8);
      const receive = world.recv({ source: 0, tag: i % 3, into });
      const outcome = receive.then(
        ({ data }) => (data.buffer.byteLength === 0 ? undefined : same(data, sent)),
        (error) => error,
      );
      await moment(next);
      TAKES[i % TAKES.length](buffer);
      assert.equal(buffer.byteLength, 0);
      const error = await outcome;
      if (error) assert.match(error.code, /^ERR_CARILLON_(BUFFER_DETACHED|TRUNCATED)$/, error.stack);
      if (error?.code === "ERR_CARILLON_TRUNCATED") {
        assert.ok(into.byteLength < size, "it was too small from the start");
        await world.recv({ source: 0, tag: i % 3 }).then(({ data }) => same(data, sent, "still first in line"));
      }
      await world.send(i, { dest: 0 });
    }
  },

  /** Rank 0 takes away what it is sending: all of it arrives as it was. */
  async sending(world, count, seed) {
    const next = random(Number(seed) + 20);
    for (const { i, size } of plan(Number(count), Number(seed))) {
      if (world.rank === 1) {
        const { value } = await world.recv({ source: 0, tag: i % 3 });
        for (const each of [value].flat()) same(each, bytes(size, i), `message ${i}`);
        await world.send(i, { dest: 0 });
        continue;
      }
      const { buffer } = bytes(size, i);
      const value = i % 5 === 4 ? [new Uint8Array(buffer), new Uint8Array(buffer)] : new Uint8Array(buffer);
      const send = world.send(value, { dest: 1, tag: i % 3, synchronous: i % 4 === 0 });
      await moment(next);
      TAKES[i % TAKES.length](buffer);
      assert.equal(buffer.byteLength, 0);
      await send;
      await world.recv({ source: 1 });
    }
  },
});
channel.port1.close();
