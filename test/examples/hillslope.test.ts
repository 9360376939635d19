// The main example: its numerics as units, and the program as its user runs it, with real ranks.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { PNG } from "pngjs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { HelpWanted, UsageError } from "../../examples/common/command-line.js";
import { diffuse, stableStep } from "../../examples/hillslope/diffusion.js";
import { parseOptions } from "../../examples/hillslope/options.js";
import { pictureSize } from "../../examples/hillslope/picture.js";
import { hidden } from "../../examples/hillslope/report.js";
import { firstDifference, simulateAlone } from "../../examples/hillslope/serial.js";
import { Slab, share } from "../../examples/hillslope/slab.js";
import { readTerrain, refine, spacing } from "../../examples/hillslope/terrain.js";

const ROOT = new URL("../../", import.meta.url);
const CLI = fileURLToPath(new URL("dist/src/cli/main.js", ROOT));
const EXAMPLE = fileURLToPath(new URL("dist/examples/hillslope/main.js", ROOT));
const terrain = await readTerrain(new URL("examples/data/volcano.json", ROOT));

describe("terrain", () => {
  it("is the volcano: 87 × 61 points from 94 to 195 m", () => {
    const values = Array.from(terrain.values);
    expect([terrain.width, terrain.height, values.length]).toEqual([87, 61, 87 * 61]);
    expect([Math.min(...values), Math.max(...values)]).toEqual([94, 195]);
  });

  it("refined, goes exactly through the points of the grid", () => {
    const factor = 17;
    const size = { width: 86 * factor + 1, height: 60 * factor + 1 };
    const fine = refine(terrain, size);
    expect(fine.every(Number.isFinite)).toBe(true);
    for (let y = 0; y < terrain.height; y++) {
      for (let x = 0; x < terrain.width; x++) {
        const point = fine[y * factor * size.width + x * factor];
        if (point !== terrain.values[y * terrain.width + x]) expect.unreachable(`${x}, ${y}: ${point}`);
      }
    }
  });

  it.each([
    [2, 2],
    [200, 160],
    [61, 87],
    [1400, 1000],
  ])("refined to %i × %i, keeps its corners and stays near its range", (width, height) => {
    const fine = refine(terrain, { width, height });
    const corner = (x: number, y: number) => terrain.values[y * 87 + x];
    expect([fine[0], fine[width - 1]]).toEqual([corner(0, 0), corner(86, 0)]);
    expect([fine[(height - 1) * width], fine[height * width - 1]]).toEqual([corner(0, 60), corner(86, 60)]);
    expect(fine.every((z) => z > 90 && z < 200)).toBe(true);
  });

  it("continues a slope as a slope: linear terrain stays linear", () => {
    const values = Array.from({ length: 20 }, (_, i) => 3 * (i % 5) - 2 * Math.floor(i / 5));
    const fine = refine({ width: 5, height: 4, values }, { width: 33, height: 25 });
    for (let i = 0; i < fine.length; i++) expect(fine[i]).toBeCloseTo(((i % 33) * 3) / 8 - Math.floor(i / 33) / 4, 10);
  });

  it("gives each rank the rows that the whole has", () => {
    const size = { width: 150, height: 101 };
    const whole = refine(terrain, size);
    for (let rank = 0; rank < 3; rank++) {
      const { first, rows } = share(size.height, rank, 3);
      expect(refine(terrain, size, first, rows)).toEqual(whole.subarray(first * 150, (first + rows) * 150));
    }
  });
});

describe("diffusion", () => {
  const size = { width: 96, height: 64 };

  it("keeps the mass: nothing leaves through the borders", () => {
    const before = refine(terrain, size);
    const after = simulateAlone(before, size, stableStep(spacing(terrain, size)), 200, () => {});
    const mass = (z: Float64Array) => z.reduce((sum, value) => sum + value, 0);
    expect(Math.abs(mass(after) / mass(before) - 1)).toBeLessThan(1e-12);
  });

  it("lets a cosine decay as the equation says", () => {
    const [dx, dy, diffusivity, steps] = [2, 3, 0.01, 400];
    const step = stableStep({ dx, dy }, diffusivity);
    const wave = (count: number, modes: number, i: number) => Math.cos((Math.PI * modes * (i + 0.5)) / count);
    const start = Float64Array.from({ length: size.width * size.height }, (_, i) => {
      return wave(size.width, 3, i % size.width) * wave(size.height, 2, Math.floor(i / size.width));
    });
    const end = simulateAlone(start, size, step, steps, () => {});
    const square = (Math.PI * 3) ** 2 / (size.width * dx) ** 2 + (Math.PI * 2) ** 2 / (size.height * dy) ** 2;
    const decay = Math.exp(-diffusivity * square * step.years * steps);
    expect(decay).toBeLessThan(0.6);
    for (let i = 0; i < end.length; i++) expect(end[i]).toBeCloseTo(decay * (start[i] as number), 3);
  });

  it("stays within the extremes it began with", () => {
    const rough = Float64Array.from({ length: size.width * size.height }, (_, i) => (i * 7919) % 101);
    const end = simulateAlone(rough, size, stableStep({ dx: 1, dy: 1 }), 50, () => {});
    expect(end.every((z) => z >= 0 && z <= 100)).toBe(true);
  });

  it("gives the same bits however the rows are cut", () => {
    const step = stableStep({ dx: 1, dy: 2 });
    const start = refine(terrain, size);
    const whole = simulateAlone(start, size, step, 1, () => {});
    const slab = new Slab(size.width, size.height);
    slab.fill(start);
    slab.mirrorAbove();
    slab.mirrorBelow();
    for (let row = size.height; row >= 1; row--) diffuse(slab.now, slab.next, slab, step, row, row);
    slab.advance();
    expect(firstDifference(slab.elevations(), whole)).toBe(-1);
  });

  it("notices one differing bit", () => {
    const a = Float64Array.of(1, 0, 3);
    expect(firstDifference(a, Float64Array.of(1, -0, 3))).toBe(1);
    expect(firstDifference(a, a.slice())).toBe(-1);
  });
});

describe("what hides", () => {
  const times = (calls: number, waited: number, late: number) => ({
    calls: [calls],
    total: [calls + waited],
    waited: [waited],
    late: [late],
  });

  it("is what the calls and the waiting left of an exchange that nothing hides", () => {
    expect(hidden(times(1, 1, 0), times(1, 7, 0))).toBe(0.75);
  });

  it("does not count waiting for a neighbour who has not sent yet", () => {
    expect(hidden(times(1, 51, 50), times(1, 7, 0))).toBe(0.75);
  });

  it("is never less than nothing, and nothing where nothing was measured", () => {
    expect(hidden(times(1, 20, 0), times(1, 7, 0))).toBe(0);
    expect(hidden(times(0, 0, 0), { calls: [], total: [], waited: [], late: [] })).toBe(0);
  });
});

describe("options", () => {
  it.each([
    "--size 100",
    "--size 1x100",
    "--size 99999x99999",
    "--steps 0",
    "--steps many",
    "--steps 5 --steps 6",
    "--steps",
    "--speed 9",
    "rows",
    `--out ${join("no", "such", "folder", "a.png")}`,
    `--out ${tmpdir()}`,
  ])("refuses %s in clear words", (words) => {
    expect(() => parseOptions(words.split(" "))).toThrow(UsageError);
  });

  it("computes at least 1,400 × 1,000 points unless told otherwise", () => {
    const { size, check } = parseOptions([]);
    expect(size.width).toBeGreaterThanOrEqual(1400);
    expect(size.height).toBeGreaterThanOrEqual(1000);
    expect(check).toBe(true);
    expect(parseOptions(["--no-check"]).check).toBe(false);
    expect(() => parseOptions(["--help"])).toThrow(HelpWanted);
  });
});

describe("the program", { timeout: 120_000 }, () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "hillslope-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  async function run(ranks: number, ...args: string[]) {
    const child = spawn(process.execPath, [CLI, "run", "-n", String(ranks), EXAMPLE, ...args], {
      cwd: folder,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
    return { stdout, stderr, code };
  }

  it.each([1, 3])("with %i ranks equals a serial run and draws before and after", async (ranks) => {
    const { stdout, stderr, code } = await run(ranks, "--size", "200x160", "--steps", "40", "--out", `${ranks}.png`);
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/check +identical to a serial run, bit for bit/);
    expect(stdout).toMatch(/grid +200 × 160 points/);
    expect(stderr).toMatch(/diffusion 100 % +step 40 of 40/);
    // Each inner border carries two rows a step; then result and report of all but rank 0.
    const messages = ranks === 1 ? 0 : (ranks - 1) * 2 * 40 + (ranks - 1) * 2;
    expect(stdout).toContain(`${messages.toLocaleString("en-US")} sent`);
    if (ranks > 1) expect(stdout).toMatch(/hidden +(\d\d? %|100 %|nothing)/);

    const png = PNG.sync.read(await readFile(join(folder, `${ranks}.png`)));
    const expected = pictureSize({ width: 200, height: 160 });
    expect([png.width, png.height]).toEqual([expected.width, expected.height]);
    const margin = (png.width - 2 * 200) / 3;
    const panel = (left: number) => {
      const rows = Array.from({ length: 160 }, (_, y) => {
        const at = ((y + (png.height - 160) / 2) * png.width + left) * 4;
        return png.data.subarray(at, at + 200 * 4);
      });
      return Buffer.concat(rows);
    };
    expect(panel(margin).equals(panel(200 + 2 * margin))).toBe(false);
  });

  it("computes slabs of a single row", async () => {
    const { stdout, stderr, code } = await run(3, "--size", "9x3", "--steps", "25", "--out", "thin.png");
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/identical/);
  });

  it("says so when it did not check", async () => {
    const { stdout, code } = await run(2, "--size", "40x30", "--steps", "3", "--no-check", "--out", "unchecked.png");
    expect(code).toBe(0);
    expect(stdout).toMatch(/check +not made/);
  });

  it("refuses more ranks than rows, and helps, once and not from every rank", async () => {
    const { stdout, stderr, code } = await run(3, "--size", "40x2", "--out", "never.png");
    expect(code).toBe(2);
    expect(stderr.match(/3 ranks need at least as many rows/g)).toHaveLength(1);
    expect(stderr).not.toMatch(/\n\s+at /);
    expect(stdout).toBe("");
    expect(existsSync(join(folder, "never.png"))).toBe(false);

    const help = await run(3, "--help");
    expect(help).toMatchObject({ code: 0, stderr: "" });
    expect(help.stdout.match(/--size <WxH>/g)).toHaveLength(1);
  });
});
