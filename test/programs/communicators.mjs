// Scenarios of test/communicators.test.ts: parts of the world, their ranks, and messages that stay in them.
import assert from "node:assert/strict";
import { inspect } from "node:util";
import { Worker } from "node:worker_threads";
import { ANY_SOURCE, World } from "carillon";
import { bytes, play, random, rejects, same } from "./scenario.mjs";

await play({
  /** Same source, same tag, another communicator: another message. */
  async dup(world) {
    const { rank, size } = world;
    const other = await world.dup();
    const third = await other.dup();
    assert.deepEqual([other.rank, other.size], [rank, size]);
    assert.equal(inspect(other), `Communicator { rank: ${rank}, size: ${size} }`);
    const dest = (rank + 1) % size;
    const source = (rank + size - 1) % size;
    const all = [third, world, other];
    for (const [i, each] of all.entries()) await each.send(i, { dest, tag: 7 });
    for (const each of [world, other, third]) {
      const message = await each.recv({ source, tag: 7 });
      assert.deepEqual([message.value, message.source], [all.indexOf(each), source]);
    }
    for (const each of all) await each.barrier();
  },

  /** Ranks by key, then by rank; null without a color; parts of parts. */
  async split(world) {
    const { rank, size } = world;
    const part = await world.split({ color: rank % 2, key: -rank });
    const members = Array.from({ length: size }, (_, each) => each)
      .filter((each) => each % 2 === rank % 2)
      .reverse();
    assert.deepEqual([part.rank, part.size], [members.indexOf(rank), members.length]);
    assert.deepEqual(await part.allgather(rank), members);
    const same = await world.split({ color: 3 });
    assert.deepEqual([same.rank, same.size], [rank, size]);
    const few = await world.split({ color: rank < 2 ? 0 : rank % 2 ? undefined : null });
    assert.equal(few === null, rank >= 2);
    const inner = await part.split({ color: part.rank < 2 ? 1 : 0 });
    assert.deepEqual(
      await inner.allgather(rank),
      members.filter((_, i) => i < 2 === part.rank < 2),
    );
    const next = { dest: (part.rank + 1) % part.size, tag: 2 };
    await part.send("round", next);
    const message = await part.recv({ source: (part.rank + part.size - 1) % part.size, tag: 2 });
    assert.deepEqual([message.value, message.source], ["round", (part.rank + part.size - 1) % part.size]);
    await message.reply("back");
    assert.equal((await part.recv({ source: next.dest })).value, "back");
    await rejects(part.send(1, { dest: part.size }), "ERR_CARILLON_INVALID_RANK");
    const pending = part.recv({ source: next.dest, tag: 3 });
    assert.equal(inspect(pending), `Request { recv source: ${next.dest}, tag: 3, pending }`);
    pending.cancel();
    assert.equal((await rejects(pending, "ERR_CARILLON_CANCELLED")).tag, 3);
    await world.barrier();
  },

  /** Disjoint and overlapping groups make communicators at the same time, in different orders. */
  async apart(world, seed) {
    const { rank } = world;
    const part = await world.split({ color: rank >> 1 });
    const pair = await world.split({ color: (rank + 1) >> 1 });
    const next = random(Number(seed) + rank);
    const made = [];
    for (let round = 0; round < 20; ++round) {
      const makers = [() => part.dup(), () => pair.dup(), () => world.dup()];
      const order = next() < 0.5 ? [0, 1, 2] : [2, 1, 0];
      const found = [];
      for (const i of order) found[i] = makers[i]();
      made.push(...(await Promise.all(found)));
    }
    // Every rank says in each what each is; nobody hears of another's.
    const receives = made.map((each, i) =>
      Promise.all(
        Array.from({ length: each.size }, (_, source) =>
          each.recv({ source }).then(({ value }) => assert.equal(value, i)),
        ),
      ),
    );
    for (const [i, each] of [...made.entries()].reverse()) {
      for (let dest = 0; dest < each.size; ++dest) await each.send(i, { dest });
    }
    await Promise.all(receives);
  },

  async free(world) {
    const part = await world.dup();
    const outstanding = part.recv({ source: world.rank });
    const parts = part.split({ color: 0 });
    part.free();
    await rejects(part.send(1, { dest: 0 }), "ERR_CARILLON_CLOSED");
    await rejects(part.recv(), "ERR_CARILLON_CLOSED");
    await rejects(part.barrier(), "ERR_CARILLON_CLOSED");
    await rejects(part.dup(), "ERR_CARILLON_CLOSED");
    assert.equal(outstanding.state, "pending");
    outstanding.cancel();
    const inner = await parts;
    assert.equal(await inner.allreduce(1, { op: "sum" }), world.size);
    assert.match(inspect(part), /closed/);
    assert.throws(() => world.free(), { code: "ERR_CARILLON_INVALID_ARGUMENT" });
    // Only close ends it: another member may leave before this one does.
    const last = inner.recv({ source: inner.rank, tag: 9 });
    await world.close({ timeout: 0 });
    await rejects(last, "ERR_CARILLON_CLOSED");
    await rejects(inner.send(1, { dest: 0 }), "ERR_CARILLON_CLOSED");
    assert.match(inspect(inner), /closed/);
  },

  /** All exchange in a ring at once, at sizes that nobody buffers. */
  async sendrecv(world) {
    const { rank, size } = world;
    const dest = (rank + 1) % size;
    const source = (rank + size - 1) % size;
    for (const length of [0, 10, 15_000, 100_000, 1 << 20]) {
      const message = await world.sendrecv(bytes(length, rank), { dest, source, tag: 1 });
      same(message.data, bytes(length, source));
      const into = new Uint8Array(length);
      await world.sendrecv(bytes(length, rank), { dest, source: ANY_SOURCE, tag: 2, recvTag: 2, into });
      same(into, bytes(length, source));
    }
    const partner = rank ^ 1;
    if (partner < size)
      assert.equal((await world.sendrecv(rank, { dest: partner, tag: rank, recvTag: partner })).value, partner);
    // One that fails takes the other back.
    await rejects(world.sendrecv(1, { dest: size, source }), "ERR_CARILLON_INVALID_RANK");
    await rejects(world.sendrecv(bytes(1 << 20), { dest, source: size, tag: 4 }), "ERR_CARILLON_INVALID_RANK");
    const controller = new AbortController();
    const aborted = world.sendrecv(bytes(1 << 20), { dest, source, tag: 5, recvTag: 6, signal: controller.signal });
    controller.abort(new Error("enough"));
    await assert.rejects(aborted, /enough/);
    await world.barrier();
    const none = world.recv({ tag: 4 });
    assert.ok(none.cancel());
    await world.barrier();
  },

  /** A receive from anybody in a part ends when all others of it have gone, whoever else lives. */
  async anybody(world) {
    const part = await world.split({ color: world.rank === 0 ? 1 : 0 });
    if (world.rank === 0) {
      for (let source = 1; source < 3; ++source) await rejects(world.recv({ source }), "ERR_CARILLON_PEER_CLOSED");
      await world.send("done", { dest: 3 });
      await world.recv({ source: 3 }); // it lives as long as rank 3 waits for the others
      return;
    }
    if (world.rank < 3) {
      await part.send("last words", { dest: 2 });
      return;
    }
    const waiting = part.recv({ tag: 5 });
    const error = await rejects(waiting, "ERR_CARILLON_PEER_CLOSED");
    assert.match(error.message, /every other rank of the communicator has left/);
    for (let i = 0; i < 2; ++i) assert.equal((await part.recv()).value, "last words");
    await rejects(part.recv(), "ERR_CARILLON_PEER_CLOSED");
    const named = await rejects(part.recv({ source: 0, tag: 8 }), "ERR_CARILLON_PEER_CLOSED");
    assert.equal(named.rank, 0);
    assert.match(named.message, /rank 0 \(1 in the world\) has left the world/);
    assert.equal((await world.recv({ source: 0 })).value, "done");
    await world.send("seen", { dest: 0 });
  },

  /** The world's collectives are one thread's. */
  async threads(world) {
    await world.barrier();
    const code = `
      const { parentPort } = require("node:worker_threads");
      import("carillon").then(async ({ World }) => {
        const world = await World.join();
        const codes = [];
        for (const call of ["dup", "barrier"]) await world[call]().catch(({ code }) => codes.push(code));
        await world.close();
        parentPort.postMessage(codes);
      });`;
    const worker = new Worker(code, { eval: true });
    const codes = await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
    assert.deepEqual(codes, ["ERR_CARILLON_OTHER_THREAD", "ERR_CARILLON_OTHER_THREAD"]);
    await world.barrier();
    if (world.size > 1) return;
    // A world of one that is joined again is another world.
    await world.close();
    const again = await World.join();
    await again.barrier();
    await again.close();
  },
});
