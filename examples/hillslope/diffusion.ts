// The model: hillslope diffusion, dz/dt = D ∇²z, by explicit steps. Pure arithmetic on rows in memory; knows nothing of ranks.
//
// Each point is computed by the same operations in the same order whoever computes it and however the grid is cut, so
// that any number of ranks gives the same bits.

/** How readily soil creeps downhill, in square metres per year: loose scoria in a mild, wet climate. */
export const DIFFUSIVITY = 0.01;

/**
 * The share of the neighbours that one step mixes into a point. Above 0.5 explicit steps are unstable, and close to it
 * the shortest waves hardly decay.
 */
const MIXING = 0.4;

/** One explicit step: how long it is, and the share of each neighbour's difference that it adds to a point. */
export interface Step {
  readonly years: number;
  readonly ax: number;
  readonly ay: number;
}

/** The step for a grid whose points are `dx` and `dy` metres apart. */
export function stableStep({ dx, dy }: { dx: number; dy: number }, diffusivity = DIFFUSIVITY): Step {
  const years = MIXING / (diffusivity * (1 / dx ** 2 + 1 / dy ** 2));
  return { years, ax: (diffusivity * years) / dx ** 2, ay: (diffusivity * years) / dy ** 2 };
}

/** Cells of a row, and from the beginning of a row to the beginning of the next. */
export interface Layout {
  readonly width: number;
  readonly stride: number;
}

/**
 * Computes rows `first` to `last` of `to` from `from`, which needs a row above and one below them. Nothing flows through the
 * left and right border: beyond it the terrain is mirrored. (Whoever fills the rows above and below does the same there.)
 */
export function diffuse(
  from: Float64Array,
  to: Float64Array,
  { width, stride }: Layout,
  { ax, ay }: Step,
  first: number,
  last: number,
): void {
  for (let row = first; row <= last; row++) {
    let i = row * stride;
    const end = i + width - 1;
    let here = from[i] as number;
    let left = here;
    for (; i < end; i++) {
      const right = from[i + 1] as number;
      const vertical = (from[i - stride] as number) + (from[i + stride] as number) - 2 * here;
      to[i] = here + ax * (left + right - 2 * here) + ay * vertical;
      left = here;
      here = right;
    }
    const vertical = (from[end - stride] as number) + (from[end + stride] as number) - 2 * here;
    to[end] = here + ax * (left + here - 2 * here) + ay * vertical;
  }
}
