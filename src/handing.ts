// How a Lease or a Message is handed to another thread of this process, as those who can be see it.
// Responsible for the terms only: what is on its way (consignment.ts), where in a task it was found (pool/find.ts).

/** The method by which an object is handed over. Registered: pool/find.ts looks for it without loading this. */
export const HAND_OVER: unique symbol = Symbol.for("carillon.handOver") as never;

/** What holds memory between two threads. */
export interface Hold {
  /** Detaches the view's buffer. Undefined: native code has not given this memory, nothing is done. @throws CarillonError ERR_CARILLON_CANCELLED */
  consign(view: ArrayBufferView): number | undefined;
  /** The buffer belongs to the other thread once the task is there, if it can be transferred. */
  transfer(buffer: ArrayBuffer): void;
  /** @throws CarillonError ERR_CARILLON_CANCELLED: it was released meanwhile, or claimed */
  claim(ticket: number): ArrayBuffer;
}

/** An object that may leave: it has been checked. */
export interface Departure<Way extends OnItsWay = OnItsWay> {
  /** Hands it over. */
  leave(hold: Hold): Way;
  /** Nobody wanted it: it is as it was, if its memory is still there. */
  comeBack(hold: Hold, way: Way): void;
}

export interface HandedOver {
  /** @throws CarillonError what speaks against it; nothing has been done */
  [HAND_OVER](): Departure;
}

/** What structured cloning takes to the other thread. */
export type OnItsWay = LeaseOnItsWay | MessageOnItsWay;

export interface LeaseOnItsWay {
  /** The kind of its view (value/kinds.ts). */
  readonly lease: number;
  readonly byteLength: number;
  /** Undefined: there are no bytes. */
  readonly ticket: number | undefined;
}

export interface MessageOnItsWay {
  readonly source: number;
  readonly tag: number;
  readonly encoding: number;
  readonly bytes: Uint8Array | { readonly ticket: number };
}
