// Tiles: how a picture is cut, how one is rendered, and where its points belong. Knows nothing of ranks or threads.
import { type Colour, lightThrough } from "./shading.js";

export interface Picture {
  readonly width: number;
  readonly height: number;
  /** Rays a point, along each edge. */
  readonly samples: number;
}

/** A part of a picture. */
export interface Tile {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** Bytes of a point: red, green, blue. */
export const BYTES = 3;

/** All tiles of a picture, row by row; those at the right and at the bottom may be smaller. */
export function cut({ width, height }: Picture, edge: number): Tile[] {
  const tiles: Tile[] = [];
  for (let top = 0; top < height; top += edge) {
    for (let left = 0; left < width; left += edge) {
      tiles.push({ left, top, width: Math.min(edge, width - left), height: Math.min(edge, height - top) });
    }
  }
  return tiles;
}

/** Renders the points of a tile, row by row. */
export function render(picture: Picture, tile: Tile): Uint8Array<ArrayBuffer> {
  const points = new Uint8Array(tile.width * tile.height * BYTES);
  let at = 0;
  for (let y = tile.top; y < tile.top + tile.height; y++) {
    for (let x = tile.left; x < tile.left + tile.width; x++) {
      for (const light of lightAt(picture, x, y)) points[at++] = exposed(light);
    }
  }
  return points;
}

/** Copies a tile's points to their place in the picture. */
export function place(picture: Picture, points: Uint8Array, tile: Tile, from: Uint8Array): void {
  const bytes = tile.width * BYTES;
  for (let row = 0; row < tile.height; row++) {
    const to = ((tile.top + row) * picture.width + tile.left) * BYTES;
    points.set(from.subarray(row * bytes, (row + 1) * bytes), to);
  }
}

/** A tile's points as they are in the picture. */
export function take(picture: Picture, points: Uint8Array, tile: Tile): Uint8Array {
  const bytes = tile.width * BYTES;
  const taken = new Uint8Array(bytes * tile.height);
  for (let row = 0; row < tile.height; row++) {
    const from = ((tile.top + row) * picture.width + tile.left) * BYTES;
    taken.set(points.subarray(from, from + bytes), row * bytes);
  }
  return taken;
}

/** The mean of a point's rays. */
function lightAt({ width, height, samples }: Picture, x: number, y: number): Colour {
  const sum: Colour = [0, 0, 0];
  for (let row = 0; row < samples; row++) {
    for (let column = 0; column < samples; column++) {
      const u = (2 * (x + (column + 0.5) / samples) - width) / height;
      const v = (height - 2 * (y + (row + 0.5) / samples)) / height;
      const [red, green, blue] = lightThrough(u, v);
      sum[0] += red;
      sum[1] += green;
      sum[2] += blue;
    }
  }
  const rays = samples * samples;
  return [sum[0] / rays, sum[1] / rays, sum[2] / rays];
}

/** Light as a byte: bright light is compressed as film does it (a curve of K. Narkowicz's, 2015), then gamma 2. */
function exposed(light: number): number {
  const film = (light * (2.51 * light + 0.03)) / (light * (2.43 * light + 0.59) + 0.14);
  return 255 * Math.sqrt(Math.min(Math.max(film, 0), 1));
}
