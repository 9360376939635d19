// Finds in a task, or in its result, what is handed over instead of cloned, and puts it in its place on the other side.
// Responsible for where that is; not for handing over (consignment.ts). Needs nothing of the rest of Carillon, for a pool's thread may not.
import type { HandedOver, OnItsWay } from "../handing.js";

/** src/handing.ts */
const HAND_OVER = Symbol.for("carillon.handOver");

/** Values that are looked at. What lies beyond them is cloned, as a value without contents. */
export const MOST_VALUES = 100_000;

/** Steps from the task to it; none: the task itself. */
type Path = readonly string[];

/** What was found, each once, and the places where: a number of an object, and a path. */
export interface Finds {
  readonly objects: readonly HandedOver[];
  readonly places: readonly (readonly [number, Path])[];
}

/** The same on its way, beside the value it was found in: a clone has `{}` in each place. */
export interface Load {
  readonly ways: readonly OnItsWay[];
  readonly places: Finds["places"];
}

/** A container that is looked through, and how it was come by. */
interface Visit {
  readonly container: object;
  readonly from: Visit | undefined;
  readonly key: string;
}

/** Looks through plain objects and arrays, in breadth. Undefined: there is nothing. */
export function find(value: unknown): Finds | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const numbers = new Map<object, number>();
  const places: [number, Path][] = [];
  const visits: Visit[] = [];
  const seen = new Set<object>();
  const look = (found: object, from: Visit | undefined, key: string) => {
    if (HAND_OVER in found) {
      if (!numbers.has(found)) numbers.set(found, numbers.size);
      places.push([numbers.get(found) as number, from ? pathTo({ container: found, from, key }) : []]);
    } else if (isPlain(found) && !seen.has(found)) {
      seen.add(found);
      visits.push({ container: found, from, key });
    }
  };
  look(value, undefined, "");
  let left = MOST_VALUES;
  for (let visit = visits[0], i = 0; visit && left > 0; visit = visits[++i]) {
    const contents = visit.container as Record<string, unknown>;
    // An array's own keys would be as many strings.
    const keys = Array.isArray(contents) ? undefined : Object.keys(contents);
    const count = keys ? keys.length : (contents.length as unknown as number);
    for (let k = 0; k < count && left-- > 0; k++) {
      const key = keys ? (keys[k] as string) : k;
      const found = contents[key as string];
      if (typeof found === "object" && found !== null) look(found, visit, String(key));
    }
  }
  return numbers.size > 0 ? { objects: [...numbers.keys()] as HandedOver[], places } : undefined;
}

function isPlain(value: object): boolean {
  if (Array.isArray(value)) return true;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

function pathTo(visit: Visit): Path {
  const path: string[] = [];
  for (let at: Visit | undefined = visit; at?.from; at = at.from) path.push(at.key);
  return path.reverse();
}

/** The value with the objects in their places. What was changed while it waited in line may have no such place any more. */
export function put(value: unknown, places: Finds["places"], objects: readonly unknown[]): unknown {
  for (const [number, path] of places) {
    if (path.length === 0) return objects[number];
    let at = value;
    for (const key of path.slice(0, -1)) at = Object.getOwnPropertyDescriptor(Object(at), key)?.value;
    const key = path.at(-1) as string;
    if (typeof at !== "object" || at === null) {
      throw new TypeError(`the task was changed before a thread took it: ${path.join(".")} is no more`);
    }
    Object.defineProperty(at, key, { value: objects[number], writable: true, enumerable: true, configurable: true });
  }
  return value;
}
