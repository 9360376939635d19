// The law of values: what arrives deep-equals structuredClone of what was sent, for values of every kind, wherever the
// bytes land; and every deviation of docs/values.md.
import assert from "node:assert";
import { createSecretKey } from "node:crypto";
import { BlockList } from "node:net";
import { describe, expect, it } from "vitest";
import { CarillonError, type CarillonErrorCode } from "../src/errors.js";
import { checkView, decode, Encoding, encode } from "../src/value.js";
import { land, pieces, travel } from "./value/wire.js";
import { randomSource, randomValue, VIEWS, viewOf, ZOO } from "./value/zoo.js";

function codeOf(action: () => unknown): CarillonErrorCode {
  try {
    action();
  } catch (error) {
    assert(error instanceof CarillonError, `not a CarillonError: ${error}`);
    return error.code;
  }
  throw new Error("nothing was thrown");
}

interface WithWebAssembly {
  WebAssembly: { Module: new (bytes: Uint8Array) => object };
}

const resizable = (bytes: number): ArrayBuffer =>
  new (ArrayBuffer as unknown as new (n: number, o: object) => ArrayBuffer)(bytes, { maxByteLength: bytes * 2 });
const growable = (bytes: number): SharedArrayBuffer =>
  new (SharedArrayBuffer as unknown as new (n: number, o: object) => SharedArrayBuffer)(bytes, {
    maxByteLength: bytes * 2,
  });

function detached<T extends ArrayBufferView<ArrayBuffer>>(view: T): T {
  structuredClone(view.buffer, { transfer: [view.buffer] });
  return view;
}

describe("what arrives deep-equals structuredClone of what was sent", () => {
  for (const [name, value] of Object.entries(ZOO)) {
    it(name, () => {
      const clone = structuredClone(value);
      for (const shared of [false, true]) {
        for (const offset of [0, 8, 1, 4]) assert.deepStrictEqual(travel(value, { offset, shared }), clone);
      }
    });
  }

  it("random values", () => {
    const random = randomSource(20);
    for (let i = 0; i < 2000; i++) {
      const value = randomValue(random);
      assert.deepStrictEqual(travel(value, { offset: random(9) }), structuredClone(value));
    }
  });

  it("a date that is none", () => {
    // Not in the zoo: Node.js 20's deepStrictEqual finds no two of them equal.
    expect(travel({ date: new Date(Number.NaN) }).date.getTime()).toBeNaN();
  });

  it("keeps what is one object one object", () => {
    const { a, b } = travel(ZOO["a view twice"] as { a: object; b: object });
    expect(a).toBe(b);
    const cycle = travel(ZOO["a cycle"] as { self: object });
    expect(cycle.self).toBe(cycle);
  });
});

describe("views", () => {
  for (const kind of VIEWS) {
    it(`${kind[0].name}: the same type over the same bytes, from any place in its buffer`, () => {
      for (const [length, byteOffset] of [
        [0, 0],
        [1, 8],
        [7, 16],
        [5000, 8],
      ] as const) {
        const view = viewOf(kind, length, byteOffset);
        for (const offset of [0, 8, 3]) assert.deepStrictEqual(travel(view, { offset }), structuredClone(view));
        expect(land(encode(view)).byteLength).toBe(view.byteLength);
      }
    });
  }

  it("are sent as they are and received where they are", () => {
    const view = new Float64Array(100);
    const encoded = encode(view);
    expect(encoded.payload).toBe(view);
    expect(encoded).toMatchObject({ owned: false, shared: false });
    const data = land(encoded);
    expect((decode(encoded.encoding, data) as Float64Array).buffer).toBe(data.buffer);
  });

  it("of shared memory say so", () => {
    expect(encode(new Uint8Array(new SharedArrayBuffer(8)))).toMatchObject({ owned: false, shared: true });
    expect(encode(new SharedArrayBuffer(8))).toMatchObject({ owned: false, shared: true });
    const large = new Uint8Array(new SharedArrayBuffer(10_000));
    expect(encode([large, large])).toMatchObject({ owned: false, shared: true });
    expect(encode([large, new Uint8Array(10_000)])).toMatchObject({ owned: false, shared: false });
    expect(encode({ large })).toMatchObject({ owned: false, shared: true });
    expect(encode({ large, other: new Uint8Array(10_000) })).toMatchObject({ owned: false, shared: false });
  });

  it("in an object send only the bytes they cover", () => {
    const large = new ArrayBuffer(1 << 20);
    expect(land(encode({ view: new Uint8Array(large, 1000, 10) })).byteLength).toBeLessThan(100);
  });

  it("in an object are not copied to be sent, and lie in the message when received", () => {
    const grid = new Float64Array(1 << 16);
    const encoded = encode({ step: 3, grid });
    expect(pieces(encoded)).toContain(grid);
    const data = land(encoded);
    const received = decode(encoded.encoding, data) as { grid: Float64Array };
    expect(received.grid.buffer).toBe(data.buffer);
  });
});

describe("an array of views", () => {
  it("comes back as views of the same types, whatever their number and sizes", () => {
    const random = randomSource(7);
    for (const count of [1, 2, 3, 10, 63, 64, 65, 300, 1000]) {
      const views = Array.from({ length: count }, () =>
        viewOf(VIEWS[random(VIEWS.length)] as (typeof VIEWS)[number], random(200)),
      );
      for (const offset of [0, 16, 5]) assert.deepStrictEqual(travel(views, { offset }), structuredClone(views));
    }
    const two = [Uint32Array.of(1, 2, 3), new Uint8Array(100_003).fill(7), new Float64Array(50_000).fill(0.5)];
    assert.deepStrictEqual(travel(two), structuredClone(two));
    assert.deepStrictEqual(travel([Buffer.from("header"), Buffer.alloc(9000, 1)]), [
      new Uint8Array(Buffer.from("header")),
      new Uint8Array(9000).fill(1),
    ]);
  });

  it("lies in one received buffer, each view aligned", () => {
    const encoded = encode([new Uint8Array(3), new Float64Array(4), new Uint8Array(1), new BigInt64Array(2)]);
    const data = land(encoded);
    for (const view of decode(encoded.encoding, data) as ArrayBufferView[]) {
      expect(view.buffer).toBe(data.buffer);
      expect(view.byteOffset % 8).toBe(0);
    }
  });

  it("hands large views on uncopied, and small or very many ones as one piece", () => {
    const body = new Uint8Array(100_000);
    const large = pieces(encode([new Uint8Array(16), body]));
    expect(large).toHaveLength(2);
    expect(large[1]).toBe(body);
    expect(encode([new Uint8Array(16), new Uint8Array(100)])).toMatchObject({ owned: true });
    const many = encode(Array.from({ length: 5000 }, () => new Uint8Array(1000)));
    expect(pieces(many)).toHaveLength(1);
  });

  it("writes nothing into the gaps between views but zeros", () => {
    for (let i = 0; i < 200; i++) encode("\xff".repeat(4000));
    const [header, gap] = [8 + 3 * 8, 8];
    const bytes = land(encode([new Uint8Array(1), new Uint8Array(1), new Uint8Array(1)]));
    expect([...bytes.subarray(header)]).toEqual(new Array(3 * gap).fill(0));
  });
});

describe("what encode hands out stays as it is", () => {
  it("however much is encoded after it", () => {
    const values = Array.from({ length: 30_000 }, (_, i) =>
      i % 3 === 0 ? i / 3 : i % 3 === 1 ? `text ${i}` : `世${i}`,
    );
    const all = values.map((value) => encode(value));
    all.forEach(({ encoding, payload }, i) => {
      expect(decode(encoding, payload as Uint8Array)).toBe(values[i]);
    });
    expect(all.every(({ owned }) => owned)).toBe(true);
  });
});

describe("the cheap encodings", () => {
  it("spend no bytes on undefined, null and booleans, 8 on a number and few on text", () => {
    const size = (value: unknown) => land(encode(value)).byteLength;
    expect([undefined, null, true, false, "", 1e300, "bell", "déjà", "钟钟"].map(size)).toEqual([
      0, 0, 0, 0, 0, 8, 4, 4, 4,
    ]);
    expect(encode({}).encoding).toBe(Encoding.clone);
  });
});

describe("deviations from structuredClone", () => {
  it("a Buffer is a Uint8Array, wherever it is, as structuredClone has it too", () => {
    for (const value of [Buffer.from("x"), { b: Buffer.from("x") }, [Buffer.from("x")]]) {
      const found = travel<unknown>(value);
      const view = ArrayBuffer.isView(found) ? found : (Object.values(found as object)[0] as object);
      expect(Object.getPrototypeOf(view)).toBe(Uint8Array.prototype);
    }
  });

  it("a SharedArrayBuffer is copied into an ArrayBuffer, a view of one into a view", () => {
    const shared = new SharedArrayBuffer(4);
    new Uint8Array(shared).set([1, 2, 3, 4]);
    const arrived: unknown = travel<unknown>(shared);
    expect(arrived).toBeInstanceOf(ArrayBuffer);
    expect([...new Uint8Array(arrived as ArrayBuffer)]).toEqual([1, 2, 3, 4]);
    const { view } = travel({ view: new Uint8Array(shared) });
    expect(view.buffer).toBeInstanceOf(ArrayBuffer);
    expect([...view]).toEqual([1, 2, 3, 4]);
  });

  it("a bare SharedArrayBuffer inside an object is refused", () => {
    expect(codeOf(() => encode({ shared: new SharedArrayBuffer(4) }))).toBe("ERR_CARILLON_DATA_CLONE");
  });

  it("views of one buffer arrive apart: neither each other's memory nor the bytes around them", () => {
    const buffer = new ArrayBuffer(64);
    const [a, b] = travel({ views: [new Uint8Array(buffer, 0, 16), new Uint8Array(buffer, 8, 16)] }).views;
    (a as Uint8Array).fill(1);
    expect([...(b as Uint8Array)]).toEqual(new Array(16).fill(0));
  });

  it("a view of a resizable buffer inside an object arrives with the size it had", () => {
    const view = new Uint8Array(resizable(8)).fill(5);
    const arrived = travel({ view }).view;
    assert.deepStrictEqual(arrived, new Uint8Array(8).fill(5));
    expect((arrived.buffer as { resizable?: boolean }).resizable).toBe(false);
  });

  it("one view twice in an array of views arrives as two", () => {
    const view = Uint8Array.of(1, 2);
    const arrived = travel([view, view]);
    assert.deepStrictEqual(arrived, [view, view]);
    expect(arrived[0]).not.toBe(arrived[1]);
  });

  it("an array of views loses properties that are not elements", () => {
    assert.deepStrictEqual(travel(Object.assign([Uint8Array.of(1)], { name: "x" })), [Uint8Array.of(1)]);
  });

  it("objects of the platform are refused, wherever they are", () => {
    const { port1, port2 } = new MessageChannel();
    const platform = {
      Blob: new Blob(["x"]),
      File: new Blob(["x"]).slice(),
      URL: new URL("file:///x"),
      URLSearchParams: new URLSearchParams("a=b"),
      Headers: new Headers(),
      ReadableStream: new ReadableStream(),
      BlockList: new BlockList(),
      KeyObject: createSecretKey(Buffer.from("secret")),
      MessagePort: port1,
      Module: new (globalThis as unknown as WithWebAssembly).WebAssembly.Module(
        Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0),
      ),
    };
    for (const object of Object.values(platform)) {
      const deep = { list: [{ map: new Map([["key", new Set([object])]]) }] };
      const wide = { many: [...Array.from({ length: 2000 }, (_, i) => ({ i })), object] };
      const inherited = { it: Object.assign(Object.create({}), { object }) };
      for (const value of [object, deep, wide, inherited]) {
        expect(codeOf(() => encode(value))).toBe("ERR_CARILLON_DATA_CLONE");
      }
    }
    port1.close();
    port2.close();
  });

  it("… but not classes of a program's own that bear the same names", () => {
    class URL {
      readonly href = "own";
    }
    class Blob extends URL {}
    assert.deepStrictEqual(travel<object>({ a: new URL(), b: new Blob() }), { a: { href: "own" }, b: { href: "own" } });
  });

  it("a DOMException is an Error at best", () => {
    const sent = new DOMException("gone", "AbortError");
    const arrived = travel<unknown>(sent);
    if (arrived instanceof Error) expect(`${arrived.message}\n${arrived.stack}`).toContain("gone");
    else assert.deepStrictEqual(arrived, structuredClone(sent));
  });

  it("a getter may be called twice", () => {
    let calls = 0;
    const value = {
      get counted() {
        return ++calls;
      },
    };
    expect(travel(value).counted).toBeLessThanOrEqual(2);
  });
});

describe("what cannot be sent", () => {
  it("is refused as structuredClone refuses it, naming what", () => {
    const bad: Record<string, unknown> = {
      "a function": () => 1,
      "a symbol": Symbol("s"),
      "a function inside": { f: () => 1 },
      "a symbol inside": [Symbol("s")],
      "a promise": Promise.resolve(1),
      "a weak map": new WeakMap(),
      "a weak reference": { ref: new WeakRef({}) },
      "a proxy": new Proxy({}, {}),
      "a generator": (function* () {})(),
      "a detached array buffer inside": { buffer: detached(new Uint8Array(8)).buffer },
    };
    for (const [name, value] of Object.entries(bad)) {
      expect(() => structuredClone(value), name).toThrow();
      expect(
        codeOf(() => encode(value)),
        name,
      ).toBe("ERR_CARILLON_DATA_CLONE");
    }
    expect(() => encode({ port: Promise.resolve() })).toThrow(/#<Promise> could not be cloned/);
  });

  it("keeps what a getter threw as its cause", () => {
    const cause = new Error("no");
    const value = {
      get bad() {
        throw cause;
      },
    };
    try {
      encode(value);
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: "ERR_CARILLON_DATA_CLONE", cause });
    }
  });

  it("a value nested too deeply for V8 is refused, not fatal", () => {
    let deep: unknown = {};
    for (let i = 0; i < 200_000; i++) deep = [deep];
    expect(codeOf(() => encode(deep))).toBe("ERR_CARILLON_DATA_CLONE");
  });

  it("a detached buffer or view is named as that", () => {
    const empty = new Uint8Array(0);
    for (const value of [
      detached(new Uint8Array(8)),
      detached(new DataView(new ArrayBuffer(8))),
      detached(new Float64Array(8)).buffer,
      detached(empty),
      [new Uint8Array(8), detached(new Uint8Array(8))],
      { inside: detached(new Uint8Array(8)) },
      { inside: detached(new DataView(new ArrayBuffer(8))) },
    ]) {
      expect(codeOf(() => encode(value))).toBe("ERR_CARILLON_BUFFER_DETACHED");
    }
  });

  it("a resizable or growable buffer, or a view of one", () => {
    for (const value of [
      resizable(8),
      growable(8),
      new Uint8Array(resizable(8)),
      new DataView(growable(8)),
      new Uint8Array(resizable(0)),
      [new Uint8Array(8), new Int32Array(resizable(8))],
    ]) {
      expect(codeOf(() => encode(value))).toBe("ERR_CARILLON_INVALID_BUFFER");
    }
  });

  it("checkView lets pass what can be used, and names what cannot", () => {
    for (const view of [
      new Uint8Array(0),
      new DataView(new ArrayBuffer(0)),
      new SharedArrayBuffer(0),
      new Uint8Array(9),
    ]) {
      checkView(view, "into");
    }
    expect(() => checkView(detached(new Uint8Array(3)), "into")).toThrow(/^into lies in a buffer that is detached/);
    expect(() => checkView(resizable(3), "into")).toThrow(/^into lies in a buffer that can be resized/);
  });
});
