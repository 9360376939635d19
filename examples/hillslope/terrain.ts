// The terrain: reads the elevation grid and refines it to any size. Knows nothing of ranks or time; a rank asks for its rows only.
import { readFile } from "node:fs/promises";

/** Distance between the points of the elevation grid, in metres. */
export const SPACING = 10;

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Terrain extends Size {
  /** Elevations in metres, row by row. */
  readonly values: ArrayLike<number>;
}

/** Reads the elevation grid: JSON of width, height and values. */
export async function readTerrain(file: URL): Promise<Terrain> {
  const terrain = JSON.parse(await readFile(file, "utf8")) as Terrain;
  const { width, height, values } = terrain;
  if (!(width >= 2 && height >= 2) || values?.length !== width * height) {
    throw new Error(`${file.pathname} is no elevation grid`);
  }
  return terrain;
}

/** Distance between the points, in metres, once `terrain` is refined to `size`. */
export function spacing(terrain: Size, size: Size): { dx: number; dy: number } {
  return {
    dx: (SPACING * (terrain.width - 1)) / (size.width - 1),
    dy: (SPACING * (terrain.height - 1)) / (size.height - 1),
  };
}

/**
 * Rows `first` to `first + rows - 1` of `terrain` refined to `size`, by bicubic Catmull-Rom interpolation: smooth, and exact
 * where a point of the result falls on one of the original. A row does not depend on which others are asked for.
 */
export function refine(terrain: Terrain, size: Size, first = 0, rows = size.height): Float64Array {
  const source = extend(terrain);
  const columns = Array.from({ length: size.width }, (_, x) => locate(x, size.width, terrain.width));
  const line = new Float64Array(source.width);
  const refined = new Float64Array(size.width * rows);
  for (let row = 0; row < rows; row++) {
    const { index, weights } = locate(first + row, size.height, terrain.height);
    for (let x = 0; x < source.width; x++)
      line[x] = blend(source.values, index * source.width + x, source.width, weights);
    for (let x = 0; x < size.width; x++) {
      const column = columns[x] as Place;
      refined[row * size.width + x] = blend(line, column.index, 1, column.weights);
    }
  }
  return refined;
}

/** Four neighbours, the first of them at `index`, and the weight of each. */
interface Place {
  readonly index: number;
  readonly weights: readonly [number, number, number, number];
}

/** Where point `i` of `count` lies between the `original` points, as an index into the extended line. */
function locate(i: number, count: number, original: number): Place {
  const position = (i * (original - 1)) / (count - 1);
  const index = Math.min(Math.floor(position), original - 2);
  const t = position - index;
  return {
    index,
    weights: [
      ((2 - t) * t - 1) * t * 0.5,
      ((3 * t - 5) * t * t + 2) * 0.5,
      ((4 - 3 * t) * t + 1) * t * 0.5,
      (t - 1) * t * t * 0.5,
    ],
  };
}

function blend(values: Float64Array, at: number, step: number, [a, b, c, d]: Place["weights"]): number {
  return (
    a * (values[at] as number) +
    b * (values[at + step] as number) +
    c * (values[at + 2 * step] as number) +
    d * (values[at + 3 * step] as number)
  );
}

/** The grid with one more point on every side, continued in a straight line: the border's outer neighbours. */
function extend({ width, height, values }: Terrain): { width: number; values: Float64Array } {
  const wide = width + 2;
  const extended = new Float64Array(wide * (height + 2));
  const at = (x: number, y: number) => extended[y * wide + x] as number;
  for (let y = 1; y <= height; y++) {
    for (let x = 1; x <= width; x++) extended[y * wide + x] = values[(y - 1) * width + x - 1] as number;
    extended[y * wide] = 2 * at(1, y) - at(2, y);
    extended[y * wide + width + 1] = 2 * at(width, y) - at(width - 1, y);
  }
  for (let x = 0; x < wide; x++) {
    extended[x] = 2 * at(x, 1) - at(x, 2);
    extended[(height + 1) * wide + x] = 2 * at(x, height) - at(x, height - 1);
  }
  return { width: wide, values: extended };
}
