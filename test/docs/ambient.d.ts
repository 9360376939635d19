// What the fragments of the documentation (```ts fragment) may use without declaring it.
import type { World as CarillonWorld, Message } from "carillon";

declare global {
  const world: CarillonWorld;
  const rank: number;
  const size: number;
  const signal: AbortSignal;
  /** Any bytes, any text, any object. */
  const bytes: Uint8Array;
  const buffer: Float64Array;
  const header: Uint8Array;
  const body: Uint8Array;
  const grid: Float64Array;
  const value: unknown;
  const answer: unknown;
  const message: Message<unknown>;
  interface Frame {
    readonly step: number;
    readonly grid: Float64Array;
  }
}
