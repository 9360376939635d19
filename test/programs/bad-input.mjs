// Scenarios of test/bad-input.test.ts: whatever is passed, a clear error, and nothing is lost by it.
import assert from "node:assert/strict";
import { World } from "carillon";
import { bytes, play, rejects, same, settled } from "./scenario.mjs";

/** Whatever was refused: what comes after works. */
async function works(world) {
  for (const dest of [world.rank, (world.rank + 1) % world.size]) {
    const source = dest === world.rank ? world.rank : (world.rank + world.size - 1) % world.size;
    void world.send(bytes(100, 1), { dest, tag: 5 });
    same((await world.recv({ source, tag: 5 })).data, bytes(100, 1));
  }
}

const transferred = () => {
  const buffer = new ArrayBuffer(8);
  const view = new Uint8Array(buffer);
  structuredClone(buffer, { transfer: [buffer] });
  return { buffer, view };
};

await play({
  async ranks(world) {
    for (const dest of [
      undefined,
      null,
      "0",
      -1,
      -2,
      2,
      99,
      0.5,
      1.5,
      Number.NaN,
      Infinity,
      2 ** 32,
      2 ** 53,
      0n,
      {},
      [0],
      true,
    ]) {
      const error = await rejects(world.send("x", { dest }), "ERR_CARILLON_INVALID_RANK");
      assert.match(error.message, /dest must be a rank from 0 to 1, not /);
    }
    for (const source of [null, "0", -2, 2, 1.5, Number.NaN, -Infinity, 2 ** 32, 1n, {}]) {
      const error = await rejects(world.recv({ source }), "ERR_CARILLON_INVALID_RANK");
      assert.match(error.message, /source must be a rank from 0 to 1 or ANY_SOURCE, not /);
    }
    // Any message would do for it: rank 0 is silent meanwhile.
    if (world.rank === 0) await world.recv({ source: 1, tag: 6 });
    else assert.equal(world.recv(null).cancel(), true);
    if (world.rank === 1) await world.send("", { dest: 0, tag: 6 });
    await rejects(world.send("x"), "ERR_CARILLON_INVALID_RANK");
    await rejects(world.send("x", null), "ERR_CARILLON_INVALID_RANK");
    await works(world);
  },

  async tags(world) {
    const bad = [null, "1", -2, 1.5, 2 ** 31, 2 ** 32, Number.NaN, Infinity, 7n, {}, true];
    for (const tag of [...bad, -1]) {
      const error = await rejects(world.send("x", { dest: 0, tag }), "ERR_CARILLON_INVALID_TAG");
      assert.match(error.message, /tag must be an integer from 0 to 2147483647, not /);
    }
    for (const tag of bad) await rejects(world.recv({ tag }), "ERR_CARILLON_INVALID_TAG");
    await works(world);
  },

  async options(world) {
    for (const signal of [null, {}, "abort", new AbortController(), 1]) {
      await rejects(world.send("x", { dest: 0, signal }), "ERR_CARILLON_INVALID_ARGUMENT");
      await rejects(world.recv({ signal }), "ERR_CARILLON_INVALID_ARGUMENT");
    }
    for (const into of [null, 100, "bytes", {}, [1, 2], new Array(8), Promise.resolve()]) {
      await rejects(world.recv({ into }), "ERR_CARILLON_INVALID_ARGUMENT");
    }
    for (const timeout of [-1, Number.NaN, "5", null, 5n]) {
      await rejects(world.close({ timeout }), "ERR_CARILLON_INVALID_ARGUMENT");
    }
    for (const wait of ["never", 5, {}, ""]) {
      await rejects(World.join({ wait }), "ERR_CARILLON_INVALID_ARGUMENT");
    }
    await works(world);
  },

  async values(world) {
    const cyclic = { f: { g: () => {} } };
    for (const value of [
      () => {},
      Symbol("s"),
      new WeakMap(),
      Promise.resolve(),
      { deep: [cyclic] },
      class {},
      [() => {}],
    ]) {
      await rejects(world.send(value, { dest: 1 - world.rank }), "ERR_CARILLON_DATA_CLONE");
    }
    const thrower = {
      get value() {
        throw new RangeError("from a getter");
      },
    };
    await assert.rejects(world.send(thrower, { dest: 0 }));
    await works(world);
  },

  async buffers(world) {
    const options = { dest: 1 - world.rank };
    const resizable = () => new ArrayBuffer(80, { maxByteLength: 160 });
    const growable = () => new SharedArrayBuffer(80, { maxByteLength: 160 });
    for (const value of [
      transferred().view,
      transferred().buffer,
      [transferred().view],
      [bytes(4), transferred().view],
    ]) {
      await rejects(world.send(value, options), "ERR_CARILLON_BUFFER_DETACHED");
    }
    for (const into of [transferred().view, transferred().buffer]) {
      await rejects(world.recv({ into }), "ERR_CARILLON_BUFFER_DETACHED");
    }
    for (const buffer of [resizable(), growable()]) {
      for (const memory of [buffer, new Uint8Array(buffer), new DataView(buffer, 2, 4)]) {
        await rejects(world.send(memory, options), "ERR_CARILLON_INVALID_BUFFER");
        await rejects(world.recv({ into: memory }), "ERR_CARILLON_INVALID_BUFFER");
      }
      // So short that it is copied at once.
      const short = new Float64Array(buffer, 8, 8).fill(world.rank);
      const { value } = await world.sendrecv(short, options);
      assert.deepEqual(value, new Float64Array(8).fill(options.dest));
    }
    await works(world);
  },

  async oversized(world) {
    const peer = 1 - world.rank;
    const half = new Uint8Array(2 ** 31 + 8);
    for (const dest of [peer, world.rank]) {
      const error = await rejects(world.send([half, half], { dest }), "ERR_CARILLON_INVALID_BUFFER");
      assert.ok(error.byteLength > 2 ** 32);
      await rejects(world.send(Array(100).fill(half), { dest }), "ERR_CARILLON_INVALID_BUFFER");
    }
    let huge;
    try {
      huge = new Uint8Array(2 ** 32 + 8);
    } catch {
      // This version of Node.js has no arrays of that size.
      huge = new Uint8Array(2 ** 32);
    }
    if (huge.length > 2 ** 32) await rejects(world.send(huge, { dest: peer }), "ERR_CARILLON_INVALID_BUFFER");
    // To receive into it is no mistake.
    const receive = world.recv({ source: peer, into: huge });
    await world.send("small", { dest: peer });
    assert.equal((await receive).value, "small");
    await works(world);
  },

  /** What a receive writes into goes away while it waits. */
  async detachedInFlight(world) {
    const peer = 1 - world.rank;
    for (const size of [0, 10, 64, 65, 5000, 100_000, 1 << 20]) {
      if (world.rank === 0) {
        await world.recv({ source: peer });
        await world.send(bytes(size), { dest: peer });
      } else {
        const into = new Uint8Array(size + 1);
        const receive = world.recv({ source: peer, into });
        structuredClone(into.buffer, { transfer: [into.buffer] });
        await world.send("go", { dest: peer });
        const error = await rejects(receive, "ERR_CARILLON_BUFFER_DETACHED");
        if (size > 0) assert.equal(error.byteLength, size);
      }
    }
    await works(world);
  },

  /** What is being sent goes away: the receiver gets what it was when it was sent, or the send fails; nothing crashes. */
  async sentAndDetached(world) {
    const peer = 1 - world.rank;
    for (const size of [10, 5000, 100_000, 3 << 20]) {
      for (let round = 0; round < 5; ++round) {
        if (world.rank === 0) {
          const mine = bytes(size, round);
          const send = world.send(mine, { dest: peer });
          structuredClone(mine.buffer, { transfer: [mine.buffer] });
          globalThis.gc?.();
          if (round > 2) await settled();
          await send;
        } else {
          if (round % 2) await settled();
          same((await world.recv({ source: peer })).data, bytes(size, round));
        }
      }
    }
    await works(world);
  },
});
