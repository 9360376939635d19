// Light: rays marched through the scene, and the colour that comes back along each. Pure arithmetic, the same bits on every rank:
// a pixel depends on its place in the picture alone. Knows nothing of tiles.
import { BOUNDS, distance, FLOOR, Material, materialAt } from "./scene.js";

export type Colour = [red: number, green: number, blue: number];
type Vector = readonly [x: number, y: number, z: number];

/** A floor further away is sky. */
const FARTHEST = 60;
const MOST_STEPS = 160;

/** Towards the sun, low at the left behind the viewer; and its colour. */
const SUN: Vector = normalised(-0.7, 0.42, -0.3);
const SUNLIGHT: Colour = [3.2, 2.1, 1.1];
const EYE: Vector = [1.1, -0.36, 6.1];
const TARGET: Vector = [0.06, -0.42, 0];
/** How wide the view is: half the picture's height, at distance 1. */
const TANGENT = 0.275;

const FORWARD = normalised(TARGET[0] - EYE[0], TARGET[1] - EYE[1], TARGET[2] - EYE[2]);
const RIGHT = normalised(-FORWARD[2], 0, FORWARD[0]);
const UP = cross(RIGHT, FORWARD);

/** The light through a point of the picture: `u` from left to right and `v` from bottom to top, in halves of its height. */
export function lightThrough(u: number, v: number): Colour {
  const x = FORWARD[0] + TANGENT * (u * RIGHT[0] + v * UP[0]);
  const y = FORWARD[1] + TANGENT * (u * RIGHT[1] + v * UP[1]);
  const z = FORWARD[2] + TANGENT * (u * RIGHT[2] + v * UP[2]);
  return lightAlong(EYE, normalised(x, y, z), 2);
}

/** What comes back along a ray. `bounces` are the mirrors it may still meet. */
function lightAlong(from: Vector, towards: Vector, bounces: number): Colour {
  const [dx, dy, dz] = towards;
  const floor = dy < 0 ? (FLOOR - from[1]) / dy : Number.POSITIVE_INFINITY;
  const away = march(from, towards, floor) ?? floor;
  if (away > FARTHEST) return sky(towards);
  const point: Vector = [from[0] + away * dx, from[1] + away * dy, from[2] + away * dz];
  const material = away === floor ? Material.floor : materialAt(...point);
  const normal: Vector = material === Material.floor ? [0, 1, 0] : normalAt(point);
  const facing = Math.max(-dot(towards, normal), 0);
  const above: Vector = [point[0] + 0.004 * normal[0], point[1] + 0.004 * normal[1], point[2] + 0.004 * normal[2]];

  const [red, green, blue] = pigment(material, point);
  const direct = Math.max(dot(normal, SUN), 0);
  const sun = direct > 0 ? direct * shadow(above) : 0;
  const open = occlusion(point, normal);
  const fill = open * (0.5 + 0.5 * normal[1]);
  const bounce = open * (0.5 - 0.5 * normal[1]);
  const lit: Colour = [
    red * (sun * SUNLIGHT[0] + 0.34 * fill + 0.3 * bounce),
    green * (sun * SUNLIGHT[1] + 0.42 * fill + 0.22 * bounce),
    blue * (sun * SUNLIGHT[2] + 0.62 * fill + 0.17 * bounce),
  ];

  // Fresnel, by Schlick: what is seen at a flat angle mirrors more.
  const grazing = (1 - facing) * (1 - facing) * (1 - facing) * (1 - facing) * (1 - facing);
  const mirror = MIRROR[material] as number;
  const share = mirror + (MIRRORS_MOST[material] as number) * (1 - mirror) * grazing;
  if (share < 0.02 || bounces === 0) return haze(lit, away);
  const along = 2 * dot(towards, normal);
  const reflected = normalised(dx - along * normal[0], dy - along * normal[1], dz - along * normal[2]);
  const mirrored = lightAlong(above, reflected, bounces - 1);
  // Metal colours what it mirrors.
  const metal = material === Material.bronze;
  const highlight = sun > 0 ? 1.6 * share * glint(reflected, metal ? 60 : 24) * sun : 0;
  return haze(
    [
      lit[0] * (1 - share) + share * mirrored[0] * (metal ? 1.05 : 1) + highlight * SUNLIGHT[0],
      lit[1] * (1 - share) + share * mirrored[1] * (metal ? 0.78 : 1) + highlight * SUNLIGHT[1],
      lit[2] * (1 - share) + share * mirrored[2] * (metal ? 0.46 : 1) + highlight * SUNLIGHT[2],
    ],
    away,
  );
}

/** What a material mirrors when seen straight on, and how much more of the rest at a flat angle; by Material. */
const MIRROR = [0.55, 0.2, 0.0, 0.22];
const MIRRORS_MOST = [0.9, 0.7, 0.02, 0.8];

/** How far along a ray the first surface but the floor is; undefined: none before `end`. */
function march(from: Vector, towards: Vector, end: number): number | undefined {
  const [x, y, z] = from;
  const [dx, dy, dz] = towards;
  const [enter, leave] = withinBounds(from, towards, 0);
  const last = Math.min(leave, end);
  let away = Math.max(enter, 0.004);
  for (let step = 0; step < MOST_STEPS && away < last; step++) {
    const near = distance(x + away * dx, y + away * dy, z + away * dz);
    if (near < 0.0004 * (1 + away)) return away;
    away += near;
  }
  return undefined;
}

/** The part of the sun that a point sees: rays that nearly miss something lie in the soft edge of its shadow. */
function shadow(from: Vector): number {
  const [x, y, z] = from;
  const [enter, leave] = withinBounds(from, SUN, 0.3);
  let seen = 1;
  let away = Math.max(enter, 0.02);
  for (let step = 0; step < 64 && away < leave; step++) {
    const near = distance(x + away * SUN[0], y + away * SUN[1], z + away * SUN[2]);
    seen = Math.min(seen, (14 * near) / away);
    if (seen < 0.005) return 0;
    away += Math.min(Math.max(near, 0.012), 0.3);
  }
  return seen * seen * (3 - 2 * seen);
}

/** Where a ray enters and leaves the box around everything but the floor, with this much more on each side; none: leave < enter. */
function withinBounds([x, y, z]: Vector, [dx, dy, dz]: Vector, margin: number): [enter: number, leave: number] {
  const a = BOUNDS.x + margin;
  const b = BOUNDS.height / 2 + margin;
  const c = BOUNDS.z + margin;
  const above = y - FLOOR - BOUNDS.height / 2;
  const reachX = a / Math.abs(dx);
  const reachY = b / Math.abs(dy);
  const reachZ = c / Math.abs(dz);
  return [
    Math.max(-x / dx - reachX, -above / dy - reachY, -z / dz - reachZ),
    Math.min(-x / dx + reachX, -above / dy + reachY, -z / dz + reachZ),
  ];
}

/** The part of the sky that is not hidden by what is close. */
function occlusion([x, y, z]: Vector, [nx, ny, nz]: Vector): number {
  let hidden = 0;
  let weight = 1;
  for (let step = 1; step <= 5; step++) {
    const away = 0.07 * step;
    const py = y + away * ny;
    hidden += weight * (away - Math.min(distance(x + away * nx, py, z + away * nz), py - FLOOR));
    weight *= 0.72;
  }
  return Math.min(Math.max(1 - 1.5 * hidden, 0), 1);
}

/** The direction in which distance grows, by four looks at the corners of a tetrahedron. */
function normalAt([x, y, z]: Vector): Vector {
  const e = 0.0009;
  const a = distance(x + e, y - e, z - e);
  const b = distance(x - e, y - e, z + e);
  const c = distance(x - e, y + e, z - e);
  const d = distance(x + e, y + e, z + e);
  return normalised(a - b - c + d, -a - b + c + d, -a + b - c + d);
}

function pigment(material: Material, [x, y, z]: Vector): Colour {
  if (material === Material.bronze) return [0.62, 0.36, 0.13];
  if (material === Material.iron) return [0.11, 0.11, 0.12];
  if (material === Material.wood) {
    const grain = 0.85 + 0.15 * Math.sin(46 * (y + 0.35 * z) + 3 * Math.sin(2.3 * x));
    return [0.26 * grain, 0.15 * grain, 0.08 * grain];
  }
  // Slabs with narrow joints.
  const joint = Math.max(seam(x / 1.1), seam(z / 1.1 + 0.5));
  const dark = (Math.floor(x / 1.1) + Math.floor(z / 1.1 + 0.5)) & 1;
  const tone = (dark ? 0.055 : 0.085) * (1 - 0.6 * joint);
  return [tone, 0.97 * tone, 0.92 * tone];
}

/** Near a whole number: 1 on it. */
function seam(at: number): number {
  return Math.max(0, 1 - 90 * Math.abs(at - Math.round(at)));
}

/** An evening: warm above the horizon, blue above that, and the sun. */
function sky([x, y, z]: Vector): Colour {
  const up = Math.max(y, 0);
  const low = 1 / (1 + 9 * up);
  const towardsSun = Math.max(x * SUN[0] + y * SUN[1] + z * SUN[2], 0);
  const glow = 0.5 * glint([x, y, z], 4) + 5 * glint([x, y, z], 400) + 0.12 * towardsSun;
  return [0.05 + 0.62 * low + 0.9 * glow, 0.08 + 0.28 * low + 0.5 * glow, 0.2 + 0.1 * low + 0.2 * glow];
}

/** How closely a direction hits the sun: a peak, the narrower the higher `sharpness`. */
function glint([x, y, z]: Vector, sharpness: number): number {
  const off = 1 - (x * SUN[0] + y * SUN[1] + z * SUN[2]);
  const near = 1 / (1 + sharpness * off);
  return near * near;
}

/** What is far away fades into the horizon. */
function haze([red, green, blue]: Colour, away: number): Colour {
  const far = Math.max(away - 10, 0);
  const clear = 1 / (1 + 0.012 * far * far);
  return [red * clear + 0.67 * (1 - clear), green * clear + 0.36 * (1 - clear), blue * clear + 0.3 * (1 - clear)];
}

function dot([ax, ay, az]: Vector, [bx, by, bz]: Vector): number {
  return ax * bx + ay * by + az * bz;
}

function cross([ax, ay, az]: Vector, [bx, by, bz]: Vector): Vector {
  return [ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx];
}

function normalised(x: number, y: number, z: number): Vector {
  const length = Math.sqrt(x * x + y * y + z * z);
  return [x / length, y / length, z / length];
}
