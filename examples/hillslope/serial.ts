// The same simulation without messages: what the ranks' result must equal, and the time to compare with.
import { diffuse, type Step } from "./diffusion.js";
import { Slab } from "./slab.js";
import type { Size } from "./terrain.js";

/** Lets `elevations` diffuse for `steps` steps in this thread alone. */
export function simulateAlone(
  elevations: Float64Array,
  { width, height }: Size,
  step: Step,
  steps: number,
  onStep: (done: number) => void,
): Float64Array {
  const grid = new Slab(width, height);
  grid.fill(elevations);
  for (let done = 1; done <= steps; done++) {
    grid.mirrorAbove();
    grid.mirrorBelow();
    diffuse(grid.now, grid.next, grid, step, 1, height);
    grid.advance();
    onStep(done);
  }
  return grid.elevations();
}

/** Index of the first point whose bits differ, or -1. */
export function firstDifference(a: Float64Array, b: Float64Array): number {
  const left = new BigUint64Array(a.buffer, a.byteOffset, a.length);
  const right = new BigUint64Array(b.buffer, b.byteOffset, b.length);
  return left.findIndex((bits, i) => bits !== right[i]);
}
