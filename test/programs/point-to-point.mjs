// Scenarios of test/point-to-point.test.ts: two ranks, what one sends arrives at the other as it is.
import assert from "node:assert/strict";
import { ANY_SOURCE, ANY_TAG } from "carillon";
import { bytes, play, same, TYPED_ARRAYS } from "./scenario.mjs";

const MIB = 1 << 20;
const SIZES = [0, 1, 63, 64, 65, 15_999, 16_000, 16_001, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, MIB, 5 * MIB + 3];
const BORDER = 24;

/** Memory to receive into, and what lies around it. */
const INTO = {
  none: () => ({ into: undefined }),
  shared: (size) => ({ into: new SharedArrayBuffer(size) }),
  sharedView: (size) => surrounded(new SharedArrayBuffer(size + 2 * BORDER), size),
  buffer: (size) => ({ into: new ArrayBuffer(size) }),
  bufferView: (size) => surrounded(new ArrayBuffer(size + 2 * BORDER), size),
  words: (size) => ({ into: new Float64Array(Math.ceil(size / 8)) }),
  roomy: (size) => ({ into: new DataView(new SharedArrayBuffer(size + 1000), 8) }),
};

function surrounded(buffer, size) {
  const all = new Uint8Array(buffer).fill(0xa5);
  return { into: all.subarray(BORDER, BORDER + size), around: [all.subarray(0, BORDER), all.subarray(BORDER + size)] };
}

function check(message, into, around, expected, what) {
  same(message.data, expected, what);
  assert.equal(message.byteLength, expected.byteLength);
  if (into) assert.equal(message.data.buffer, into.buffer ?? into, `${what}: received elsewhere`);
  for (const each of around ?? [])
    assert.ok(
      each.every((byte) => byte === 0xa5),
      `${what}: wrote beside \`into\``,
    );
}

class Point {
  x = 1;
}

const shared = { deep: [1, { two: new Date(3) }], map: new Map([["a", new Set([1n])]]), text: "é€😀" };
const VALUES = [
  "",
  "plain",
  "Grüße",
  "日本語 😀",
  "x".repeat(100_000),
  "日".repeat(100_000),
  0,
  -0,
  42,
  0.1,
  Number.NaN,
  -Infinity,
  2 ** 53,
  true,
  false,
  null,
  undefined,
  12n ** 40n,
  shared,
  [],
  {},
  [1, "two", null],
  new Error("told"),
  /a+b/gi,
  { step: 3, grid: new Float64Array([1, 2, 3]) },
  { big: new Float64Array(100_000).fill(Math.PI), small: new Uint8Array([1, 2, 3]) },
  new Point(),
  new Float64Array([1, -2, 3.5]),
  new BigInt64Array([1n, -1n]),
  new Int16Array(50_000).fill(-7),
  new DataView(Uint8Array.of(1, 2, 3).buffer, 1),
  Uint8Array.of(1, 2, 3).buffer,
];

const GATHERS = [
  [new Float64Array([1]), new Uint8Array([2, 3])],
  [new Uint8Array(0)],
  [bytes(3, 1), bytes(20_000, 2), new Uint8Array(0), new Int32Array(bytes(4000, 3).buffer)],
  [bytes(1, 4), bytes(MIB + 1, 5), bytes(7, 6)],
  Array.from({ length: 64 }, (_, i) => bytes(i, i)),
  Array.from({ length: 65 }, (_, i) => bytes(i * 40, i)),
  Array.from({ length: 500 }, (_, i) => bytes((i * 37) % 3000, i)),
  Array.from({ length: 40 }, (_, i) => bytes(8 * i, i)),
  [bytes(64, 1).subarray(8, 16), new Float32Array(bytes(64, 2).buffer, 4, 3)],
];

await play({
  async sizes(world) {
    let seed = 0;
    for (const [kind, make] of Object.entries(INTO)) {
      for (const size of SIZES) {
        const early = bytes(size, ++seed);
        const late = bytes(size, ++seed);
        const what = `${size} bytes into ${kind}`;
        if (world.rank === 0) {
          await world.recv({ source: 1, tag: 3 });
          await world.send(early, { dest: 1, tag: 1 });
          const there = world.send(late, { dest: 1, tag: 2 });
          await world.send(null, { dest: 1, tag: 3 });
          await there;
        } else {
          const { into, around } = make(size);
          const posted = world.recv({ source: 0, tag: 1, into });
          await world.send(null, { dest: 0, tag: 3 });
          const message = await posted;
          assert.deepEqual([message.source, message.tag], [0, 1]);
          check(message, into, around, early, `${what}, posted before it came`);
          await world.recv({ source: 0, tag: 3 });
          const other = make(size);
          const second = await world.recv({ into: other.into });
          assert.deepEqual([second.source, second.tag], [0, 2]);
          check(second, other.into, other.around, late, `${what}, posted after it came`);
        }
      }
    }
  },

  /** Typed arrays up to 64 bytes are copied when they are sent: whole, parts of others, and what JavaScript made anew. */
  async short(world) {
    const dest = (world.rank + 1) % world.size;
    const float16 = globalThis.Float16Array ? [globalThis.Float16Array] : [];
    for (const Type of [...TYPED_ARRAYS, ...float16, Buffer]) {
      const size = Type.BYTES_PER_ELEMENT ?? 1;
      for (const count of new Set([0, 1, 3, 64 / size, 64 / size + 1])) {
        const all = Type === Buffer ? Buffer.from(bytes(count + 5, 7)) : new Type(bytes((count + 5) * size, 7).buffer);
        for (const view of [all.subarray(2, 2 + count), all.slice(0, count)]) {
          const expected = structuredClone(view.slice());
          const receive = world.recv();
          const sent = world.send(view, { dest });
          if (count * size <= 64) view.fill(typeof all[0] === "bigint" ? 9n : 9); // it has left, or been copied
          await sent;
          const { value, byteLength } = await receive;
          assert.equal(byteLength, count * size);
          assert.deepEqual(value, expected);
        }
      }
    }
  },

  /** Sent from shared memory, which native code reads in place. */
  async fromShared(world) {
    for (const size of SIZES) {
      const expected = bytes(size, size % 97);
      if (world.rank === 0) {
        const memory = new Uint8Array(new SharedArrayBuffer(size + 5), 5);
        memory.set(expected);
        await world.send(memory, { dest: 1 });
      } else {
        same((await world.recv({ source: 0 })).data, expected, `${size} bytes`);
      }
    }
  },

  async values(world) {
    if (world.rank === 0) for (const value of VALUES) await world.send(value, { dest: 1, tag: 7 });
    else {
      for (const value of VALUES) {
        const message = await world.recv({ source: 0, tag: 7 });
        const expected = ArrayBuffer.isView(value)
          ? new value.constructor(structuredClone(value.buffer), value.byteOffset, value.length ?? value.byteLength)
          : structuredClone(value);
        assert.deepEqual(message.value, expected);
        assert.equal(message.value, message.value, "decoded once");
      }
    }
  },

  async gathers(world) {
    for (const views of GATHERS) {
      if (world.rank === 0) await world.send(views, { dest: 1 });
      else {
        const { value } = await world.recv({ source: 0 });
        assert.equal(value.length, views.length);
        for (const [i, view] of views.entries()) assert.deepEqual(value[i], view.slice());
      }
    }
  },

  async reply(world) {
    if (world.rank === 0) {
      await world.send("ping", { dest: 1, tag: 11 });
      const answer = await world.recv();
      assert.deepEqual([answer.source, answer.tag, answer.value], [1, 11, "PING"]);
    } else {
      const asked = await world.recv();
      await asked.reply(asked.value.toUpperCase());
    }
  },

  async tags(world) {
    const tags = [0, 1, 2 ** 31 - 1, 7];
    if (world.rank === 0) for (const tag of tags) await world.send(tag, { dest: 1, tag });
    else {
      for (const tag of tags.toReversed()) assert.equal((await world.recv({ source: 0, tag })).value, tag);
    }
  },

  async any(world) {
    if (world.rank !== 0) {
      await world.send(world.rank, { dest: 0, tag: world.rank });
      await world.recv({ source: 0 });
    } else {
      await world.send(0, { dest: 0, tag: 0 });
      const seen = new Set();
      for (let i = 0; i < world.size; ++i) {
        const message = await world.recv(i % 2 ? { source: ANY_SOURCE, tag: ANY_TAG } : {});
        assert.deepEqual([message.source, message.tag], [message.value, message.value]);
        seen.add(message.source);
      }
      assert.equal(seen.size, world.size);
      for (let dest = 1; dest < world.size; ++dest) await world.send("", { dest });
    }
  },

  async synchronous(world) {
    if (world.rank === 0) {
      const small = world.send("small", { dest: 1, tag: 1, synchronous: true });
      const large = world.send(bytes(MIB), { dest: 1, tag: 2 });
      const empty = world.send(undefined, { dest: 1, tag: 4, synchronous: true });
      await world.send("sent", { dest: 1, tag: 3 });
      await world.recv({ source: 1, tag: 3 });
      assert.deepEqual([small.state, large.state, empty.state], ["pending", "pending", "pending"]);
      await world.send("go", { dest: 1, tag: 3 });
      await Promise.all([small, large, empty]);
    } else {
      await world.recv({ source: 0, tag: 3 });
      await world.send("pending?", { dest: 0, tag: 3 });
      await world.recv({ source: 0, tag: 3 });
      assert.equal((await world.recv({ tag: 1 })).value, "small");
      same((await world.recv({ tag: 2 })).data, bytes(MIB));
      assert.equal((await world.recv({ tag: 4 })).value, undefined);
    }
  },

  /** Every kind of message to oneself, before and after the receive. */
  async oneself(world) {
    for (const [kind, make] of Object.entries(INTO)) {
      for (const size of [...SIZES]) {
        for (const synchronous of [false, true]) {
          const { into, around } = make(size);
          const expected = bytes(size, size % 91);
          const posted = world.recv({ source: world.rank, tag: 1, into });
          const first = world.send(expected, { dest: world.rank, tag: 1, synchronous });
          check(await posted, into, around, expected, `${size} bytes into ${kind}, posted first`);
          await first;
          const other = make(size);
          const second = world.send(expected, { dest: world.rank, tag: 2, synchronous });
          if (synchronous) assert.equal(second.state, "pending");
          else await second;
          const message = await world.recv({ source: world.rank, tag: 2, into: other.into });
          check(message, other.into, other.around, expected, `${size} bytes into ${kind}, sent first`);
          await second;
        }
      }
    }
    // What was sent is a copy: it may change as soon as the request has settled.
    const mine = bytes(100_000, 3);
    await world.send(mine, { dest: world.rank });
    mine.fill(0);
    same((await world.recv()).data, bytes(100_000, 3));
    const value = { a: [1] };
    await world.send(value, { dest: world.rank });
    value.a.push(2);
    assert.deepEqual((await world.recv()).value, { a: [1] });
  },
});
