// The scene: five bells under a beam, above a polished floor, as functions that say how far the nearest surface is.
// Responsible for shapes and where they hang; not for light (shading.ts) nor for rays (march in shading.ts).
// Lengths are in heights of the largest bell; y is up, z comes towards the viewer.

/** What a point belongs to. */
export enum Material {
  bronze,
  iron,
  wood,
  floor,
}

interface Bell {
  readonly x: number;
  /** Its height. */
  readonly size: number;
  /** Cosine and sine of how far it has swung, and of how far its clapper lags behind. */
  readonly cos: number;
  readonly sin: number;
  readonly clapperCos: number;
  readonly clapperSin: number;
}

/** Where the floor is, and where the axes of the bells are. */
export const FLOOR = -1.08;
const AXIS = 0.42;
/** From the axis down to a bell's shoulder, for a bell of size 1: inside the yoke. */
const NECK = 0.2;

const BELLS: readonly Bell[] = ringing([1, 0.84, 0.7, 0.59, 0.5], [0.3, -0.42, 0.5, -0.34, 0.16]);

/** Bells of these sizes side by side, the middle of the row at x = 0, each swung by one of these angles. */
function ringing(sizes: readonly number[], angles: readonly number[]): Bell[] {
  const gap = 0.2;
  const width = sizes.reduce((sum, size) => sum + 1.3 * size + gap, -gap);
  let left = -width / 2;
  return sizes.map((size, i) => {
    const angle = angles[i] as number;
    const x = left + 0.65 * size;
    left += 1.3 * size + gap;
    const lag = -0.55 * angle;
    return {
      x,
      size,
      cos: Math.cos(angle),
      sin: Math.sin(angle),
      clapperCos: Math.cos(lag),
      clapperSin: Math.sin(lag),
    };
  });
}

/** Half the edges of a box on the floor that holds everything that stands or hangs there, and its height. */
export const BOUNDS = { x: 3.5, height: 2, z: 1.3 };

/** From a point to the nearest surface but the floor, or less. */
export function distance(x: number, y: number, z: number): number {
  let nearest = frame(x, y, z);
  for (const bell of BELLS) {
    const { size, cos, sin } = bell;
    const px = (x - bell.x) / size;
    const py = (y - AXIS) / size;
    const pz = z / size;
    // A sphere around the bell, however it swings: what is not near it needs no closer look.
    const sphere = (Math.sqrt(px * px + (py + 0.62) * (py + 0.62) + pz * pz) - 1.2) * size;
    if (sphere > nearest) continue;
    if (sphere > 0.3) {
      nearest = Math.min(nearest, sphere + 0.05);
      continue;
    }
    const by = cos * py + sin * pz;
    const bz = cos * pz - sin * py;
    nearest = Math.min(
      nearest,
      size * Math.min(straps(px, py, pz), body(px, by, bz), yoke(px, by, bz), clapper(bell, px, by, bz)),
    );
  }
  return nearest;
}

/** What the nearest surface but the floor is made of. */
export function materialAt(x: number, y: number, z: number): Material {
  let nearest = frame(x, y, z);
  let material = Material.wood;
  const see = (away: number, what: Material) => {
    if (away >= nearest) return;
    nearest = away;
    material = what;
  };
  for (const bell of BELLS) {
    const px = (x - bell.x) / bell.size;
    const py = (y - AXIS) / bell.size;
    const pz = z / bell.size;
    const by = bell.cos * py + bell.sin * pz;
    const bz = bell.cos * pz - bell.sin * py;
    see(bell.size * body(px, by, bz), Material.bronze);
    see(bell.size * yoke(px, by, bz), Material.wood);
    see(bell.size * Math.min(clapper(bell, px, by, bz), straps(px, py, pz)), Material.iron);
  }
  return material;
}

/** The bronze: a wall around an axis, wide at the lip, round at the shoulder, with a few raised rings. */
function body(x: number, y: number, z: number): number {
  const height = y + NECK + 1; // of the point above the lip
  const radius = Math.sqrt(x * x + z * z);
  const t = Math.min(Math.max(height, 0), 1);
  // The waist is a hyperbola that opens towards the lip.
  const flare = 0.045 / (t + 0.16);
  const waist = 0.3 + flare + ring(t, 0.12, 0.03) + ring(t, 0.17, 0.018) + ring(t, 0.72, 0.02) + ring(t, 0.78, 0.02);
  const slope = flare / (t + 0.16);
  const level = 1 / Math.sqrt(1 + slope * slope);
  const outside = smoothMax((radius - waist) * level, height - 1, 0.16);
  const thickness = 0.035 + 0.03 / (1 + 60 * (t - 0.07) * (t - 0.07));
  const inside = smoothMax((radius - 0.3 - flare + thickness) * level, height - 0.93, 0.16);
  return 0.85 * Math.max(outside, -inside, -height);
}

/** A raised ring at this height: how far it stands out. */
function ring(height: number, at: number, width: number): number {
  const away = (height - at) / width;
  return 0.014 / (1 + away * away * away * away);
}

/** The wooden block that a bell is bolted to, which turns with it. */
function yoke(x: number, y: number, z: number): number {
  return box(x, y + 0.08, z, 0.34, 0.1, 0.09) - 0.03;
}

function clapper({ clapperCos, clapperSin }: Bell, x: number, y: number, z: number): number {
  const top = y + NECK + 0.1;
  const cy = clapperCos * top + clapperSin * z;
  const cz = clapperCos * z - clapperSin * top;
  const rod = Math.sqrt(x * x + cz * cz + square(cy - Math.min(Math.max(cy, -0.84), 0))) - 0.022;
  const ball = Math.sqrt(x * x + cz * cz + square(cy + 0.84)) - 0.09;
  return Math.min(rod, ball);
}

/** Two straps from the beam to a yoke's axle, which do not swing. */
function straps(x: number, y: number, z: number): number {
  return box(Math.abs(x) - 0.42, y - 0.12, z, 0.012, 0.24, 0.05) - 0.008;
}

/** The beam that all hang from, and its posts. */
function frame(x: number, y: number, z: number): number {
  return Math.min(
    box(x, y - AXIS - 0.32, z, 3.6, 0.12, 0.16) - 0.02,
    box(Math.abs(x) - 3.25, y - (AXIS + FLOOR) / 2, z, 0.11, (AXIS - FLOOR) / 2 + 0.3, 0.11) - 0.02,
  );
}

/** To a box around the origin, by half its edges. */
function box(x: number, y: number, z: number, a: number, b: number, c: number): number {
  const dx = Math.abs(x) - a;
  const dy = Math.abs(y) - b;
  const dz = Math.abs(z) - c;
  const outside = Math.sqrt(square(Math.max(dx, 0)) + square(Math.max(dy, 0)) + square(Math.max(dz, 0)));
  return outside + Math.min(Math.max(dx, dy, dz), 0);
}

/** The greater of two, with a round edge of this radius. */
function smoothMax(a: number, b: number, radius: number): number {
  const blend = Math.max(radius - Math.abs(a - b), 0) / radius;
  return Math.max(a, b) + 0.25 * blend * blend * radius;
}

const square = (a: number) => a * a;
