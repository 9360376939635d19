// A lease: memory of this rank that its peers can map, so that sending it costs the same at any size.
// Responsible for whose it is: the program's until it is sent, handed to another thread or released, detached from then on. Not responsible for the
// memory itself (native/leases) nor for sending (communicator.ts).
import { inspect } from "node:util";
import { CarillonError } from "./errors.js";
import { type Departure, HAND_OVER, type Hold, type LeaseOnItsWay } from "./handing.js";
import { native } from "./native.js";
import { checkView } from "./value/check.js";
import { bytesPerElement, kindOf, makeView } from "./value/kinds.js";

/** A typed array's constructor, or DataView. */
export interface LeaseType<T extends ArrayBufferView> {
  /** The constructor's name. */
  readonly name: string;
  new (buffer: ArrayBuffer, byteOffset?: number, length?: number): T;
}

/** ArrayBuffers of leases, which native code may read and write at any time: it holds the memory as long as it does. */
const leased = new WeakSet<ArrayBufferLike>();
let any = false;

/** @internal Whether native code may use this memory from any thread until a request settles. */
export function isLeased(buffer: ArrayBufferLike): boolean {
  return any && leased.has(buffer);
}

/**
 * Memory of this rank that its peers can map, from `world.allocate` or received: sending it hands it over, in a time that does not
 * depend on its size. `data` is the memory as a typed array; it is detached where the lease was sent, handed to a task, or released.
 */
export class Lease<T extends ArrayBufferView = Uint8Array<ArrayBuffer>> {
  #data: T;
  #gone: "sent" | "handed over" | "released" | undefined;

  /** @internal Leases come from `world.allocate`. */
  constructor(data: T) {
    this.#data = data;
  }

  /** The memory. Detached, with no elements, once the lease was sent, handed over or released. */
  get data(): T {
    return this.#data;
  }

  /** The memory under `data`. */
  get buffer(): ArrayBuffer {
    return this.#data.buffer as ArrayBuffer;
  }

  /** Its size; 0 once the lease was sent, handed over or released. */
  get byteLength(): number {
    return this.#gone ? 0 : this.#data.byteLength;
  }

  /** Whether it was sent, handed over or released: there is nothing to use any more. */
  get released(): boolean {
    return this.#gone !== undefined;
  }

  /**
   * Gives the memory back and detaches `data`. Requests that still use the memory keep it until they settle. Does nothing when
   * the lease was sent, handed over or released before. A lease that is forgotten is released when it is collected.
   */
  release(): void {
    if (this.#gone) return;
    this.#gone = "released";
    native().release(this.#data);
  }

  /** `using lease = world.allocate(…)` releases it at the end of its scope, unless it was sent. */
  [Symbol.dispose](): void {
    this.release();
  }

  /**
   * @internal The memory, for a request.
   * @throws CarillonError ERR_CARILLON_LEASE_RELEASED
   */
  memory(): T {
    if (!this.#gone) return this.#data;
    throw new CarillonError("ERR_CARILLON_LEASE_RELEASED", `the lease was ${this.#gone}, its memory is gone`);
  }

  /** @internal Native code has detached it. */
  sent(): void {
    this.#gone = "sent";
  }

  /** @internal To another thread: a task of a ComputePool, or its result. */
  [HAND_OVER](): Departure<LeaseOnItsWay> {
    const data = this.memory();
    checkView(data, "the lease");
    if (native().isLeaseInUse(data)) {
      throw new CarillonError("ERR_CARILLON_LEASE_IN_USE", "requests still read or write the lease's memory");
    }
    const { byteLength } = data;
    const kind = kindOf(data);
    return {
      leave: (hold) => {
        // Without bytes there is no memory.
        const ticket = byteLength === 0 ? undefined : hold.consign(data);
        if (byteLength > 0 && ticket === undefined) {
          throw new CarillonError("ERR_CARILLON_LEASE_RELEASED", "the lease's memory is no longer this thread's");
        }
        this.#gone = "handed over";
        return { lease: kind, byteLength, ticket };
      },
      comeBack: (hold, { ticket }) => {
        const buffer = ticket === undefined ? data.buffer : hold.claim(ticket);
        this.#data = viewOf(kind, buffer, byteLength) as T;
        this.#gone = undefined;
      },
    };
  }

  /** @internal One line for `console.log` and `util.inspect`. */
  [inspect.custom](): string {
    if (!(#data in this)) return "Lease {}"; // the prototype
    return `Lease { ${this.#gone ?? `${(this.#data as { length?: number }).length ?? this.#data.byteLength} of ${this.#data.constructor.name}`} }`;
  }
}

/** @internal `length` elements of `type`, of whatever content. */
export function allocate<T extends ArrayBufferView>(length: number, type: LeaseType<T>): Lease<T> {
  const bytes = bytesPerElement(type);
  if (bytes === undefined) {
    throw new CarillonError(
      "ERR_CARILLON_INVALID_ARGUMENT",
      `allocate: a lease is of a typed array or DataView, not ${inspect(type)}`,
    );
  }
  const most = native().maxMessageBytes / bytes;
  if (!Number.isInteger(length) || length < 0 || length > most) {
    const message = `allocate: a lease has from 0 to ${most} elements of ${type.name}, not ${inspect(length)}`;
    throw new CarillonError("ERR_CARILLON_INVALID_ARGUMENT", message);
  }
  // Nothing to share: an ordinary buffer, which is detached like any other.
  const buffer = length === 0 ? new ArrayBuffer(0) : native().allocate(length * bytes);
  if (typeof buffer === "string") {
    throw new CarillonError(
      "ERR_CARILLON_OUT_OF_MEMORY",
      `allocate: a lease of ${length * bytes} bytes cannot be had: ${buffer}`,
    );
  }
  remember(buffer);
  return new Lease(new type(buffer, 0, length));
}

/** @internal A lease that comes from another thread, or without memory an empty one. */
export function arrivedLease({ lease: kind, byteLength, ticket }: LeaseOnItsWay, hold: Hold): Lease<ArrayBufferView> {
  const buffer = ticket === undefined ? new ArrayBuffer(0) : hold.claim(ticket);
  return new Lease(viewOf(kind, buffer, byteLength));
}

function viewOf(kind: number, buffer: ArrayBufferLike, byteLength: number): ArrayBufferView {
  remember(buffer);
  return makeView(kind, buffer, 0, byteLength);
}

function remember(buffer: ArrayBufferLike): void {
  leased.add(buffer);
  any = true;
}
