// Decoding what no Carillon wrote: whatever the bytes, decode returns a value or throws ERR_CARILLON_DATA_DECODE, and
// reads nothing outside them.
import assert from "node:assert";
import { describe, expect, it } from "vitest";
import { CarillonError } from "../../src/errors.js";
import { decode, Encoding, encode } from "../../src/value.js";
import { land } from "./wire.js";
import { randomSource, randomValue, ZOO } from "./zoo.js";

const LAST_ENCODING = Encoding.view + 13;

/** True if it decoded; anything thrown but the one error fails the test. */
function survives(encoding: number, data: Uint8Array): boolean {
  try {
    decode(encoding, data);
    return true;
  } catch (error) {
    assert(error instanceof CarillonError, `encoding ${encoding} threw ${error}`);
    assert.equal(error.code, "ERR_CARILLON_DATA_DECODE");
    return false;
  }
}

const bytes = (...values: number[]) => Uint8Array.from(values);
const words = (...values: number[]) => new Uint8Array(Uint32Array.from(values).buffer);

describe("decode", () => {
  it("survives random bytes in every encoding", () => {
    const random = randomSource(1);
    for (let i = 0; i < 40_000; i++) {
      const data = new Uint8Array(random(80)).map(() => random(random(2) === 0 ? 256 : 8));
      survives(random(LAST_ENCODING + 3), data.subarray(Math.min(random(9), data.byteLength)));
    }
  });

  it("survives truth with a few bytes changed, cut off or added", () => {
    const random = randomSource(2);
    // Short ones: a change in a long one mostly lands where nothing depends on it.
    const zoo = Object.values(ZOO)
      .map((value) => encode(value))
      .filter((encoded) => land(encoded).byteLength < 1000);
    // V8 makes room for as many elements as a sparse array claims: a tenth of a second for each of these is enough of them.
    const sparse = zoo.findIndex(
      (encoded) => encoded.encoding === Encoding.clone && land(encoded)[2] === "a".charCodeAt(0),
    );
    expect(sparse).toBeGreaterThanOrEqual(0);
    for (let i = 0; i < 8_000; i++) {
      let at = random(zoo.length);
      while (at === sparse && random(10) > 0) at = random(zoo.length);
      const encoded = random(4) === 0 ? encode(randomValue(random)) : zoo[at];
      assert(encoded);
      const whole = land(encoded, { offset: random(2) * random(9) });
      const data = new Uint8Array(Math.max(0, whole.byteLength + (random(3) - 1) * random(10)));
      data.set(whole.subarray(0, data.byteLength));
      for (let change = random(4); change > 0 && data.byteLength > 0; change--) {
        data[random(data.byteLength)] = random(256);
      }
      survives(random(10) === 0 ? random(LAST_ENCODING + 1) : encoded.encoding, data);
    }
  });

  it("knows no other encodings", () => {
    for (const encoding of [12, 15, LAST_ENCODING, 255, -1, -16, 2 ** 31 - 1, -(2 ** 31), 2 ** 32, 4.5, Number.NaN]) {
      expect(() => decode(encoding, bytes(1, 2, 3, 4, 5, 6, 7, 8))).toThrow(CarillonError);
    }
  });

  it("refuses the wrong number of bytes", () => {
    for (const [encoding, data] of [
      [Encoding.undefined, bytes(0)],
      [Encoding.null, bytes(0)],
      [Encoding.true, bytes(1)],
      [Encoding.number, bytes()],
      [Encoding.number, bytes(1, 2, 3, 4, 5, 6, 7)],
      [Encoding.number, bytes(1, 2, 3, 4, 5, 6, 7, 8, 9)],
      [Encoding.utf16, bytes(1, 2, 3)],
      [Encoding.view + 8, bytes(1, 2, 3, 4)],
      [Encoding.view + 3, bytes(1)],
    ] as const) {
      expect(survives(encoding, data), `encoding ${encoding}`).toBe(false);
    }
  });

  it("refuses text that is not UTF-8", () => {
    for (const data of [bytes(0xff), bytes(0xc0, 0x80), bytes(0xed, 0xa0, 0x80), bytes(0xe2, 0x82)]) {
      expect(survives(Encoding.utf8, data)).toBe(false);
    }
  });

  it("refuses views that do not fill the message exactly", () => {
    for (const data of [
      bytes(),
      words(1),
      words(0, 0),
      words(1, 0, 0, 8),
      words(1, 0, 0, 4, 0, 0, 0, 0),
      words(2, 0, 0, 8, 0, 0),
      words(0xffff_ffff, 0, 0, 0),
      words(1, 0, 0xffff_ff00, 0xffff_ffff, 0, 0),
      words(1, 0, 13, 8, 0, 0),
      words(1, 0, 8, 4, 0, 0),
    ]) {
      expect(survives(Encoding.views, data)).toBe(false);
      expect(survives(Encoding.cloneAndViews, data)).toBe(false);
    }
    expect(survives(Encoding.views, words(1, 0, 8, 8, 0, 0))).toBe(true);
  });

  it("refuses objects that refer to views which are not there", () => {
    const data = land(encode({ a: new Uint8Array(100), b: new Uint8Array(100) }));
    const count = new Uint32Array(data.buffer, 0, 1);
    expect(count[0]).toBe(3);
    const value = new Uint8Array(data.buffer, 8 + 3 * 8, 100);
    const reference = value.lastIndexOf(1);
    expect(survives(Encoding.cloneAndViews, data)).toBe(true);
    value[reference] = 9;
    expect(survives(Encoding.cloneAndViews, data)).toBe(false);
    expect(survives(Encoding.clone, value)).toBe(false);
  });

  it("refuses a value nested so deeply that V8 would run out of stack", () => {
    const [version, denseArray] = [bytes(0xff, 0x0f), bytes(0x41, 0x01)];
    const data = new Uint8Array(version.byteLength + 400_000);
    data.set(version);
    for (let i = version.byteLength; i < data.byteLength; i += 2) data.set(denseArray, i);
    expect(survives(Encoding.clone, data)).toBe(false);
  });

  it("refuses lengths that promise more than there is", () => {
    const huge = [0xff, 0xff, 0xff, 0xff, 0x0f];
    for (const tag of ['"', "c", "A", "a", "B", "Z", "\\", "S"]) {
      expect(survives(Encoding.clone, bytes(0xff, 0x0f, tag.charCodeAt(0), ...huge)), tag).toBe(false);
    }
  });
});
