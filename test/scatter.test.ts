// Lists of views to receive into: filled in order, with what was sent and nothing else.
import assert from "node:assert";
import { describe, expect, test } from "vitest";
import { ScatterList } from "../src/scatter.js";
import { contentsOf, encode } from "../src/value.js";
import { plays, shares } from "./support/ranks.js";

const PROGRAM = "scatter.mjs";

describe("between ranks", () => {
  test("header and body arrive as header and body, into every kind of memory", () =>
    shares(2, PROGRAM, ["headerAndBody"]));
  test("random views arrive in random views", () => shares(2, PROGRAM, ["random"]));
  test("values that are no array of views fill the list with their bytes", () => shares(2, PROGRAM, ["values"]));
  test("large bodies go straight into shared memory, and into nothing beside it", () => plays(2, PROGRAM, "straight"));
});

describe("to oneself", () => {
  test("header and body arrive as header and body", () => shares(1, PROGRAM, ["headerAndBody"]));
  test("random views arrive in random views", () => shares(1, PROGRAM, ["random"]));
  test("a message says what was filled", () => shares(1, PROGRAM, ["message"]));
  test("what does not fit stays first in line; only what was sent counts", () => shares(1, PROGRAM, ["truncated"]));
  test("transferred in flight is an error", () => shares(1, PROGRAM, ["detached"]));
  test("what is no memory is refused", () => shares(1, PROGRAM, ["refuses"]));
});

test("rubbish on the wire is an error, whatever it is", () => {
  const views = [new Uint8Array(9).fill(1), new Uint8Array(40).fill(2), new Uint8Array(3).fill(3)];
  const { encoding, payload } = encode(views);
  const wire = payload as Uint8Array;
  expect(contentsOf(wire.byteLength, encoding)).toBe(52);
  let state = 1;
  const below = (n: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 8) % n;
  };
  let refused = 0;
  for (let i = 0; i < 20_000; ++i) {
    const bytes = wire.slice(0, below(4) === 0 ? below(wire.length + 1) : wire.length);
    for (let k = below(3); k > 0 && bytes.length > 0; --k) bytes[below(Math.min(bytes.length, 40))] = below(256);
    const word = below(5) === 0 ? (encoding & 0xff) + below(120) * 256 : encoding;
    const list = new ScatterList([new Uint8Array(below(20)), new Uint8Array(100)]);
    try {
      const filled = list.fill(bytes.length, word, (to, from) => {
        assert(from + to.byteLength <= bytes.length); // expect would take ten times as long as all of this
        to.set(bytes.subarray(from, from + to.byteLength));
      });
      const length = filled.reduce((sum, { byteLength }) => sum + byteLength, 0);
      assert.equal(length, contentsOf(bytes.length, word));
    } catch (error) {
      assert.equal((error as { code?: string }).code, "ERR_CARILLON_DATA_DECODE", String(error));
      ++refused;
    }
  }
  expect(refused).toBeGreaterThan(5000);
});
