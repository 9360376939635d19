// A slab: the rows of the grid that one rank computes, twice (now and one step later), in memory that messages arrive in.
// Responsible for the layout and for the outer borders; computes nothing and sends nothing.
import type { Layout } from "./diffusion.js";

/** The rows of a grid that belong to `rank` of `size`: as even as can be, in order. */
export function share(height: number, rank: number, size: number): { first: number; rows: number } {
  const first = Math.floor((height * rank) / size);
  return { first, rows: Math.floor((height * (rank + 1)) / size) - first };
}

/**
 * Own rows are numbered 1 to `rows`; row 0 and row `rows + 1` are copies of the neighbours' border rows (halos). Each row has
 * one cell more than the grid is wide: a note that travels with the row (halo.ts).
 */
export class Slab implements Layout {
  readonly width: number;
  readonly rows: number;
  readonly stride: number;
  #now: Float64Array;
  #next: Float64Array;

  constructor(width: number, rows: number) {
    this.width = width;
    this.rows = rows;
    this.stride = width + 1;
    // Shared memory cannot be detached or collected under a message: Carillon's native threads write halos straight
    // into it while JavaScript computes. Into an ordinary ArrayBuffer they would be copied when the receive is awaited.
    const bytes = this.stride * (rows + 2) * Float64Array.BYTES_PER_ELEMENT;
    this.#now = new Float64Array(new SharedArrayBuffer(bytes));
    this.#next = new Float64Array(new SharedArrayBuffer(bytes));
  }

  get now(): Float64Array {
    return this.#now;
  }

  get next(): Float64Array {
    return this.#next;
  }

  /** A row as it is now with its note: a view, not a copy. */
  row(index: number): Float64Array {
    return this.#now.subarray(index * this.stride, (index + 1) * this.stride);
  }

  /** Nothing flows through the border of the grid: beyond it the terrain is mirrored. */
  mirrorAbove(): void {
    this.row(0).set(this.row(1));
  }

  mirrorBelow(): void {
    this.row(this.rows + 1).set(this.row(this.rows));
  }

  /** One step later: next becomes now. */
  advance(): void {
    [this.#now, this.#next] = [this.#next, this.#now];
  }

  /** Takes elevations, row by row without halos and notes. */
  fill(elevations: Float64Array): void {
    for (let row = 0; row < this.rows; row++) {
      this.row(row + 1).set(elevations.subarray(row * this.width, (row + 1) * this.width));
    }
  }

  /** The elevations as they are now, row by row without halos and notes, in memory of their own. */
  elevations(): Float64Array {
    const packed = new Float64Array(this.width * this.rows);
    for (let row = 0; row < this.rows; row++) {
      packed.set(this.row(row + 1).subarray(0, this.width), row * this.width);
    }
    return packed;
  }
}
