// Objects as bytes: V8's serializer, except that the views in a value travel beside it, each as the bytes it covers:
// not copied here, and aligned where they arrive.
// Not responsible for values that have a cheaper encoding (value.ts) nor for the layout of several views (gather.ts).
import { Deserializer, Serializer } from "node:v8";
import { CarillonError } from "../errors.js";
import { isDetached, isResizable, isShared } from "./check.js";
import { copyOf, kindOf, makeView, rubbish } from "./kinds.js";
import { refusePlatformObjects } from "./platform.js";

/** What Node.js documents for subclasses and the type declarations leave out. */
interface Hooks {
  _setTreatArrayBufferViewsAsHostObjects(on: boolean): void;
}

class ValueSerializer extends Serializer {
  readonly beside: ArrayBufferView[] = [];

  constructor() {
    super();
    (this as unknown as Hooks)._setTreatArrayBufferViewsAsHostObjects(true);
  }

  /** Called by V8 once for every view, and for objects with native insides. */
  protected _writeHostObject(object: object): void {
    if (!ArrayBuffer.isView(object)) {
      const name = object.constructor?.name || "native object";
      throw new CarillonError("ERR_CARILLON_DATA_CLONE", `a ${name} cannot be sent`);
    }
    if (isDetached(object.buffer)) {
      throw new CarillonError(
        "ERR_CARILLON_BUFFER_DETACHED",
        "a view in the value lies in a buffer that is detached (transferred)",
      );
    }
    this.writeUint32(this.beside.length);
    this.beside.push(isResizable(object.buffer) ? fixed(object) : object);
  }
}

class ValueDeserializer extends Deserializer {
  beside: readonly ArrayBufferView[] = [];

  protected _readHostObject(): ArrayBufferView {
    return this.beside[this.readUint32()] ?? rubbish("it refers to a view that is not there");
  }
}

export interface Cloned {
  readonly bytes: Uint8Array;
  /** The views that the bytes refer to, in this order: the caller's memory. */
  readonly beside: readonly ArrayBufferView[];
}

/** @throws CarillonError ERR_CARILLON_DATA_CLONE or ERR_CARILLON_BUFFER_DETACHED */
export function serialize(value: unknown): Cloned {
  try {
    if (typeof value === "object" && value !== null) refusePlatformObjects(value);
    const serializer = new ValueSerializer();
    serializer.writeHeader();
    serializer.writeValue(value);
    return { bytes: serializer.releaseBuffer(), beside: serializer.beside };
  } catch (cause) {
    if (cause instanceof CarillonError) throw cause;
    throw new CarillonError("ERR_CARILLON_DATA_CLONE", `the value cannot be cloned: ${reasonOf(cause)}`, { cause });
  }
}

/** @throws CarillonError ERR_CARILLON_DATA_DECODE */
export function deserialize(bytes: Uint8Array, beside: readonly ArrayBufferView[] = []): unknown {
  try {
    const deserializer = new ValueDeserializer(unshared(bytes));
    deserializer.beside = beside;
    deserializer.readHeader();
    return deserializer.readValue();
  } catch (cause) {
    if (cause instanceof CarillonError) throw cause;
    return rubbish(reasonOf(cause), cause);
  }
}

/** A copy of a view whose memory may shrink. */
function fixed(view: ArrayBufferView): ArrayBufferView {
  return makeView(kindOf(view), copyOf(view.buffer, view.byteOffset, view.byteLength), 0, view.byteLength);
}

/** Decoders take no shared memory, which could change under their eyes. */
export function unshared(data: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer, byteOffset, byteLength } = data;
  if (!isShared(buffer)) return data as Uint8Array<ArrayBuffer>;
  return new Uint8Array(copyOf(buffer, byteOffset, byteLength));
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
