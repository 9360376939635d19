// JavaScript that a handler may interrupt anywhere: each piece computes something whose result is known, and says if it is another.
import assert from "node:assert/strict";

/** `f(n)`: a loop of doubles, compiled anew for each call. */
const WASM = (() => {
  const factor = new Uint8Array(new Float64Array([1.0000001]).buffer);
  // biome-ignore format: one line a section
  const body = [1, 1, 0x7c, 0x03, 0x40, 0x20, 1, 0x44, ...factor, 0xa2, 0x20, 0, 0xb7, 0xa0, 0x21, 1, 0x20, 0, 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, 0x0b, 0x20, 1, 0x0b];
  // biome-ignore format: one line a section
  return new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 6, 1, 0x60, 1, 0x7f, 1, 0x7c, 3, 2, 1, 0, 7, 5, 1, 1, 0x66, 0, 0, 0x0a, body.length + 2, 1, body.length, ...body]);
})();

function loop(n) {
  let sum = 0;
  for (let i = n; i > 0; --i) sum = sum * 1.0000001 + i;
  return sum;
}

const pieces = {
  allocation(seed) {
    const kept = new Map();
    for (let i = 0; i < 2000; ++i) kept.set(`${seed}-${i % 500}`, { i, list: [i, [i + 1]], text: "x".repeat(i % 40) });
    let at = 1500;
    for (const { i, list, text } of kept.values()) {
      assert.equal(i, at++);
      assert.equal(list[1][0], i + 1);
      assert.equal(text, "x".repeat(i % 40));
    }
    assert.equal(at, 2000);
  },
  json(seed) {
    const value = Array.from({ length: 100 }, (_, i) => ({
      i,
      half: (seed + i) / 2,
      text: `é${i}`,
      nested: { list: [i, null, true] },
    }));
    assert.deepEqual(JSON.parse(JSON.stringify(value)), value);
  },
  regularExpression(seed) {
    const text = Array.from({ length: 300 }, (_, i) => `user${i + seed}@host${i}.example,`).join(" ");
    const found = [...text.matchAll(/(?<user>\w+)@(?<host>[a-z]+\d+)\.example/gu)];
    assert.equal(found.length, 300);
    assert.equal(found[299].groups.user, `user${299 + seed}`);
    assert.equal(text.replace(/\d+/g, "").length, text.length - text.match(/\d/g).length);
  },
  webAssembly(seed) {
    const n = 1000 + (seed % 5000);
    const { f } = new WebAssembly.Instance(new WebAssembly.Module(WASM)).exports;
    assert.equal(f(n), loop(n));
  },
  numbers(seed) {
    const values = Float64Array.from({ length: 4000 }, (_, i) => Math.sin(i + seed));
    const sorted = values.slice().sort();
    let before = -Infinity;
    for (const each of sorted) {
      assert.ok(each >= before);
      before = each;
    }
    assert.equal(2n ** 200n % 1_000_003n, (2n ** 100n % 1_000_003n) ** 2n % 1_000_003n);
  },
  /** The handler runs on what the stack has left. */
  recursion() {
    const deeper = (n) => 1 + deeper(n + 1);
    assert.throws(() => deeper(0), RangeError);
  },
};

/** All of it, for some milliseconds. */
export function compute(seed) {
  for (const piece of Object.values(pieces)) piece(seed);
}
