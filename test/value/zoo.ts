// Values of every kind that can be cloned, by name, and a generator of random ones.

type AnyView = ArrayBufferView<ArrayBuffer>;
type AnyViewConstructor = new (buffer: ArrayBuffer, byteOffset?: number, length?: number) => AnyView;

const Float16 = (globalThis as { Float16Array?: AnyViewConstructor }).Float16Array;

/** Every kind of view this runtime has, with the size of its elements. */
export const VIEWS: readonly (readonly [AnyViewConstructor, number])[] = [
  [Uint8Array, 1],
  [Int8Array, 1],
  [Uint8ClampedArray, 1],
  [Int16Array, 2],
  [Uint16Array, 2],
  [Int32Array, 4],
  [Uint32Array, 4],
  [Float32Array, 4],
  [Float64Array, 8],
  [BigInt64Array, 8],
  [BigUint64Array, 8],
  [DataView, 1],
  ...(Float16 === undefined ? [] : [[Float16, 2] as const]),
];

/** A view of this kind over bytes that count up; floating point kinds meet no NaN whose bits an engine may change. */
export function viewOf([make, bytes]: readonly [AnyViewConstructor, number], length: number, byteOffset = 0): AnyView {
  const buffer = new ArrayBuffer(byteOffset + length * bytes + 16);
  new Uint8Array(buffer).forEach((_, i, all) => {
    all[i] = i % 113;
  });
  return new make(buffer, byteOffset, length);
}

class Point {
  constructor(
    readonly x: number,
    readonly y: number,
  ) {}
  get norm(): number {
    return Math.hypot(this.x, this.y);
  }
}

class AppError extends RangeError {
  override name = "AppError";
}

function cyclic(): object {
  const node: { name: string; self?: object; list: object[] } = { name: "root", list: [] };
  node.self = node;
  node.list.push(node, { parent: node });
  return node;
}

function sparse(): unknown[] {
  const array: unknown[] = [1];
  array[2] = undefined;
  array[2_000_000] = "far";
  return array;
}

const twice = { shared: true };
const view = new Float32Array([1, 2, 3]);

export const ZOO: Readonly<Record<string, unknown>> = {
  undefined: undefined,
  null: null,
  true: true,
  false: false,
  zero: 0,
  "minus zero": -0,
  "not a number": Number.NaN,
  infinity: Number.NEGATIVE_INFINITY,
  "a fraction": 0.1,
  "the smallest": Number.MIN_VALUE,
  "a bigint": 2n ** 70n,
  "a negative bigint": -1n,
  "no text": "",
  ascii: "hello",
  "latin-1": "déjà vu ÿ",
  "a NUL": "a\0b",
  "a byte order mark": "\uFEFFmark",
  greek: "καλημέρα",
  chinese: "编钟是一种古老的乐器",
  emoji: "ring the 🔔 and nobody polls",
  "a lone surrogate": "half \ud83d of a bell",
  "a lone surrogate and chinese": "编\udd14钟",
  "long ascii": "bell ".repeat(5000),
  "medium ascii": "b".repeat(1025),
  "the longest small string": "b".repeat(4096),
  "the longest small chinese": "钟".repeat(4096),
  "long latin-1": "é".repeat(5000),
  "long mixed": "bell 🔔 ".repeat(5000),
  "long chinese": "编钟".repeat(5000),
  "a long lone surrogate": `${"bell".repeat(5000)}\ud83d`,
  "an object": { step: 3, name: "x", nested: { deep: [1, [2, [3]]] } },
  "an empty object": {},
  "an object without prototype": Object.assign(Object.create(null), { a: 1 }),
  "an own __proto__": JSON.parse('{"__proto__": {"polluted": true}}'),
  "symbol keys and hidden keys": Object.defineProperty({ [Symbol("s")]: 1, seen: 2 }, "hidden", { value: 3 }),
  "an array": [1, "two", null, undefined, [3]],
  "an empty array": [],
  "a sparse array": sparse(),
  "an array with a name": Object.assign([1, 2], { name: "x" }),
  "an array of numbers": Array.from({ length: 3000 }, (_, i) => i / 7),
  "a cycle": cyclic(),
  "one object twice": [twice, twice],
  "a view twice": { a: view, b: view },
  "a map": new Map<unknown, unknown>([
    [{ key: 1 }, new Map([[1, 2]])],
    ["x", Number.NaN],
  ]),
  "a set": new Set<unknown>([1, "1", { a: 1 }, new Set([-0])]),
  "a date": new Date(1234567890123),
  "a regular expression": /[a-z]+\u{1F514}?/giu,
  "a boxed number": Object(-0),
  "a boxed string": Object("boxed"),
  "a boxed boolean": Object(false),
  "a boxed bigint": Object(7n),
  "an error": new TypeError("bad", { cause: new Error("deeper", { cause: "deepest" }) }),
  "an error of one's own": Object.assign(new AppError("mine"), { code: 7 }),
  "an aggregate error": new AggregateError([new Error("one")], "many"),
  "an object of a class": new Point(3, 4),
  "a map of a class's own": new (class Own extends Map<number, number> {})([[1, 2]]),
  "an array of a class's own": new (class Own extends Array<number> {})(1, 2, 3),
  "a getter": {
    get computed() {
      return 42;
    },
  },
  "no bytes": new Uint8Array(0),
  "a buffer of a pool": Buffer.from("carillon"),
  "bytes of a class's own": new (class Own extends Uint8Array {})([1, 2, 3]),
  "an array buffer": new Uint8Array([1, 2, 3, 4, 5]).buffer,
  "an empty array buffer": new ArrayBuffer(0),
  "views in an object": { step: 3, grid: Float64Array.of(1, 2, 3), bytes: Buffer.from("abc"), none: new Int16Array(0) },
  "a long view in an object": { step: 3, grid: new Float64Array(5000).map((_, i) => Math.sin(i)) },
  "many views in an object": Object.fromEntries(VIEWS.map((kind, i) => [`k${i}`, viewOf(kind, 300 + i)])),
  "very many views in an object": { views: Array.from({ length: 500 }, (_, i) => Uint16Array.of(i, i + 1)) },
  "an array buffer in an object": { buffer: new Uint8Array([9, 8, 7]).buffer },
  "views in a map": new Map([[new Uint8Array([1]), new DataView(new ArrayBuffer(3))]]),
  "views among others": [new Uint8Array([1, 2]), "not a view", new Float64Array([1])],
};

/** Deterministic: the same seed gives the same numbers. */
export function randomSource(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

export function randomText(random: (below: number) => number, length = random(40)): string {
  const ceilings = [0x80, 0x100, 0x3000, 0x10000];
  const ceiling = ceilings[random(ceilings.length)] as number;
  return String.fromCharCode(...Array.from({ length }, () => random(ceiling)));
}

export function randomValue(random: (below: number) => number, depth = 4): unknown {
  const leaf = [
    () => random(2 ** 32) - 2 ** 31,
    () => random(1000) / 7,
    () => randomText(random),
    () => random(2) === 1,
    () => null,
    () => undefined,
    () => BigInt(random(1e9)) ** BigInt(random(5)),
    () => new Date(random(1e9)),
    () => viewOf(VIEWS[random(VIEWS.length)] as (typeof VIEWS)[number], random(20), 8 * random(3)),
    () => viewOf(VIEWS[random(VIEWS.length)] as (typeof VIEWS)[number], random(3000)),
    () => -0,
  ];
  const many = <T>(make: () => T): T[] => Array.from({ length: random(6) }, make);
  const child = () => randomValue(random, depth - 1);
  const branch = [
    () => Object.fromEntries(many(() => [randomText(random, 5), child()])),
    () => many(child),
    () => new Map(many(() => [child(), child()])),
    () => new Set(many(child)),
    () => Array.from({ length: 1 + random(8) }, () => viewOf(VIEWS[random(11)] as (typeof VIEWS)[number], random(700))),
  ];
  const choices = depth > 0 && random(3) > 0 ? branch : leaf;
  return (choices[random(choices.length)] as () => unknown)();
}
