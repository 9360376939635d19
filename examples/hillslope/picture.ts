// The picture: two terrains side by side as a PNG, in hypsometric colours with hill shading and contour lines.
import { writeFile } from "node:fs/promises";
import { PNG } from "pngjs";
import type { Size } from "./terrain.js";

const MARGIN = 16;
const PAPER: Colour = [250, 248, 243];
/** Metres between two contour lines, and where the first one is: between whole metres, where the grid has no plains. */
const CONTOUR = 10;
const FIRST_CONTOUR = 0.5;
/** How much steeper slopes are shaded than they are. */
const EXAGGERATION = 1.6;
/** A panel that would be wider is drawn from every second, third, … point. */
const WIDEST_PANEL = 2000;

type Colour = readonly [red: number, green: number, blue: number];

/** Lowlands to summit. */
const RAMP: readonly Colour[] = [
  [103, 146, 105],
  [154, 178, 117],
  [210, 205, 146],
  [214, 179, 124],
  [181, 132, 92],
  [148, 107, 88],
  [214, 203, 196],
];

export interface Grid extends Size {
  /** Metres between the points. */
  readonly dx: number;
  readonly dy: number;
}

/** Width and height of the picture of two such grids. */
export function pictureSize({ width, height }: Size): Size & { stride: number } {
  const stride = Math.ceil(width / WIDEST_PANEL);
  return {
    width: 2 * Math.ceil(width / stride) + 3 * MARGIN,
    height: Math.ceil(height / stride) + 2 * MARGIN,
    stride,
  };
}

/** Writes both terrains, left and right, in the same colours for the same elevations. */
export async function writePicture(file: string, grid: Grid, before: Float64Array, after: Float64Array): Promise<void> {
  const { width, height, stride } = pictureSize(grid);
  const png = new PNG({ width, height, colorType: 2 });
  for (let i = 0; i < width * height; i++) put(png, i, PAPER, 1);
  const range = extent(before);
  drawPanel(png, MARGIN, grid, stride, before, range);
  drawPanel(png, 2 * MARGIN + Math.ceil(grid.width / stride), grid, stride, after, range);
  await writeFile(file, PNG.sync.write(png, { colorType: 2, inputHasAlpha: true, deflateLevel: 6 }));
}

function drawPanel(
  png: PNG,
  left: number,
  { width, height, dx, dy }: Grid,
  stride: number,
  elevations: Float64Array,
  [lowest, highest]: readonly [number, number],
): void {
  const at = (x: number, y: number) =>
    elevations[Math.min(Math.max(y, 0), height - 1) * width + Math.min(Math.max(x, 0), width - 1)] as number;
  for (let y = 0, row = MARGIN; y < height; y += stride, row++) {
    for (let x = 0, column = left; x < width; x += stride, column++) {
      const here = at(x, y);
      const slopeX = (EXAGGERATION * (at(x + stride, y) - at(x - stride, y))) / (2 * stride * dx);
      const slopeY = (EXAGGERATION * (at(x, y + stride) - at(x, y - stride))) / (2 * stride * dy);
      // Light from the upper left, 45° above the horizon, as maps have it.
      const light = Math.max(0, (0.5 * (slopeX + slopeY) + Math.SQRT1_2) / Math.hypot(slopeX, slopeY, 1));
      const level = levelOf(here);
      const onContour = level !== levelOf(at(x + stride, y)) || level !== levelOf(at(x, y + stride));
      const brightness = (0.32 + 0.96 * light) * (onContour ? 0.8 : 1);
      put(png, row * png.width + column, colourOf((here - lowest) / (highest - lowest)), brightness);
    }
  }
}

/** Between which contour lines an elevation is. */
function levelOf(elevation: number): number {
  return Math.floor((elevation - FIRST_CONTOUR) / CONTOUR);
}

/** The colour between lowest (0) and highest (1). */
function colourOf(share: number): Colour {
  const place = Math.min(Math.max(share, 0), 1) * (RAMP.length - 1);
  const index = Math.min(Math.floor(place), RAMP.length - 2);
  const low = RAMP[index] as Colour;
  const high = RAMP[index + 1] as Colour;
  const mix = (a: number, b: number) => a + (b - a) * (place - index);
  return [mix(low[0], high[0]), mix(low[1], high[1]), mix(low[2], high[2])];
}

function put(png: PNG, pixel: number, [red, green, blue]: Colour, brightness: number): void {
  const at = pixel * 4;
  png.data[at] = Math.min(255, red * brightness);
  png.data[at + 1] = Math.min(255, green * brightness);
  png.data[at + 2] = Math.min(255, blue * brightness);
  png.data[at + 3] = 255;
}

function extent(values: Float64Array): readonly [number, number] {
  let lowest = Number.POSITIVE_INFINITY;
  let highest = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    if (value < lowest) lowest = value;
    if (value > highest) highest = value;
  }
  return [lowest, highest];
}
