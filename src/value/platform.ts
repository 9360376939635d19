// Finds objects of the platform (Blob, URL, streams, …) inside a value. Their contents live outside JavaScript or in
// private fields, so that V8's serializer would turn them silently into empty objects. A lease is one of them: it is handed over
// when it is what is sent, not inside a value.
// Not responsible for what V8 itself refuses: functions, symbols, promises, native handles.
import { CarillonError } from "../errors.js";
import { Lease } from "../lease.js";

type Home = () => object;
const global: Home = () => globalThis;
const net: Home = () => process.getBuiltinModule("node:net");
const webAssembly: Home = () => (globalThis as unknown as { WebAssembly: object }).WebAssembly;

/** Where the class of this name is to be found. */
const HOMES: ReadonlyMap<string, Home> = new Map([
  ["Blob", global],
  ["BlockList", net],
  ["CryptoKey", global],
  ["File", global],
  ["FormData", global],
  ["Headers", global],
  ["Module", webAssembly],
  ["ReadableStream", global],
  ["Request", global],
  ["Response", global],
  ["SocketAddress", net],
  ["TransformStream", global],
  ["URL", global],
  ["URLSearchParams", global],
  ["WritableStream", global],
]);

/** So much is looked at without remembering it; only then are cycles worth a Set. */
const UNTRACKED = 512;
/** Longer arrays may be sparse: then their length says nothing about how much there is to look at. */
const SURELY_DENSE = 65_536;

/** By prototype: the platform class that its objects belong to, or false. */
const verdicts = new WeakMap<object, string | false>();

/** @throws CarillonError ERR_CARILLON_DATA_CLONE */
export function refusePlatformObjects(value: object): void {
  const pending: object[] = [value];
  let seen: Set<object> | undefined;
  let looked = 0;
  for (let object = pending.pop(); object !== undefined; object = pending.pop()) {
    if (++looked > UNTRACKED) {
      seen ??= new Set();
      if (seen.has(object)) continue;
      seen.add(object);
    }
    if (Array.isArray(object)) {
      const items: unknown[] = object.length <= SURELY_DENSE ? object : Object.values(object);
      looked += items.length;
      addItems(items, pending);
      continue;
    }
    const prototype: object | null = Object.getPrototypeOf(object);
    if (prototype !== Object.prototype && prototype !== null) {
      if (ArrayBuffer.isView(object)) continue;
      const name = platformClass(prototype);
      if (name !== false) throw new CarillonError("ERR_CARILLON_DATA_CLONE", `a ${name} cannot be sent`);
      if (object instanceof Map) addItems([...object.keys(), ...object.values()], pending);
      else if (object instanceof Set) addItems([...object], pending);
    }
    for (const key in object) {
      const child = (object as Record<string, unknown>)[key];
      if (typeof child === "object" && child !== null) pending.push(child);
    }
  }
}

function addItems(items: readonly unknown[], pending: object[]): void {
  for (let i = 0; i < items.length; i++) {
    const item = items[i];
    if (typeof item === "object" && item !== null) pending.push(item);
  }
}

function platformClass(prototype: object): string | false {
  let verdict = verdicts.get(prototype);
  if (verdict === undefined) {
    verdict = judge(prototype);
    verdicts.set(prototype, verdict);
  }
  return verdict;
}

function judge(prototype: object): string | false {
  for (let link: object | null = prototype; link !== null; link = Object.getPrototypeOf(link)) {
    const candidate: unknown = link.constructor;
    if (typeof candidate === "function" && (candidate === Lease || isOfPlatform(candidate))) return candidate.name;
  }
  return false;
}

/** By name first: looking at some of these classes loads modules that a program may never need. */
function isOfPlatform(candidate: { readonly name: string }): boolean {
  const home = HOMES.get(candidate.name);
  return home !== undefined && (home() as Record<string, unknown>)[candidate.name] === candidate;
}
