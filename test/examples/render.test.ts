// The tiled picture: tiles as units, and the program as its user runs it: the same picture for any number of ranks and any tiles.
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PNG } from "pngjs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { HelpWanted, UsageError } from "../../examples/common/command-line.js";
import { parseOptions } from "../../examples/render/options.js";
import { BYTES, cut, place, render, take } from "../../examples/render/tiles.js";
import { run } from "../cli/fixtures/carillon.js";
import { thorough } from "../support/thorough.js";
import { EXAMPLES, killedAtWork } from "./example.js";

const EXAMPLE = `${EXAMPLES}/render/main.js`;

const picture = { width: 100, height: 57, samples: 1 };
const whole = render(picture, { left: 0, top: 0, width: 100, height: 57 });

describe("tiles", () => {
  it.each([1, 7, 32, 57, 200])("of edge %i cover every point once", (edge) => {
    const points = new Uint8Array(picture.width * picture.height * BYTES);
    for (const tile of cut(picture, edge)) {
      const more = new Uint8Array(tile.width * tile.height * BYTES).fill(1);
      place(
        picture,
        points,
        tile,
        more.map((one, i) => one + (take(picture, points, tile)[i] as number)),
      );
    }
    expect(points.every((times) => times === 1)).toBe(true);
  });

  it("have the points that the whole has", () => {
    for (const tile of cut(picture, 40)) expect(render(picture, tile)).toEqual(take(picture, whole, tile));
  });

  it("are smoother with more rays a point, and no other picture", () => {
    const smooth = render({ ...picture, samples: 3 }, { left: 0, top: 0, width: 100, height: 57 });
    const change = (a: Uint8Array) => a.reduce((sum, byte, i) => sum + Math.abs(byte - (a[i - BYTES] ?? byte)), 0);
    expect(change(smooth)).toBeLessThan(change(whole));
    const apart = smooth.reduce((sum, byte, i) => sum + Math.abs(byte - (whole[i] as number)), 0) / smooth.length;
    expect(apart).toBeLessThan(5);
  });
});

describe("options", () => {
  it.each([
    "--size 100",
    "--size 0x9",
    "--size 99999x2",
    "--samples 0",
    "--tile 0",
    "--threads none",
    "--colour red",
    "bells",
    `--out ${tmpdir()}`,
    `--out ${join("no", "such", "folder", "a.png")}`,
  ])("refuses %s in clear words", (words) => {
    expect(() => parseOptions(words.split(" "), 1)).toThrow(UsageError);
  });

  it("gives each rank its share of the cores, and at least one thread", () => {
    expect(parseOptions([], 1).threads).toBeGreaterThanOrEqual(parseOptions([], 2).threads);
    expect(parseOptions([], 10_000).threads).toBe(1);
    expect(parseOptions(["--threads", "3"], 10_000).threads).toBe(3);
    expect(() => parseOptions(["--help"], 1)).toThrow(HelpWanted);
  });
});

describe("the program", { timeout: 120_000 }, () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "render-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  const renders = async (ranks: number, edge: number, tiles: number) => {
    const words = ["--size", "100x57", "--samples", "1", "--tile", String(edge), "--threads", "2"];
    const { stdout, stderr, code } = await run(["-n", String(ranks), EXAMPLE, ...words], { cwd: folder });
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/check +\d tiles? rendered again by rank 0 alone: the same bytes/);
    expect(stderr).toMatch(new RegExp(`render 100 % +tile ${tiles} of ${tiles}`));
    const shares = [...stdout.matchAll(/rank \d: (\d+)/g)].map(([, share]) => Number(share));
    expect(shares).toHaveLength(ranks);
    expect(shares.reduce((sum, share) => sum + share)).toBe(tiles);

    const png = PNG.sync.read(await readFile(join(folder, "render.png")));
    expect([png.width, png.height]).toEqual([100, 57]);
    const points = png.data.filter((_, i) => i % 4 !== 3);
    expect(Buffer.from(whole).equals(points)).toBe(true);
    const colours = new Set(Array.from({ length: 100 * 57 }, (_, i) => png.data.readUInt32BE(4 * i)));
    expect(colours.size).toBeGreaterThan(1000);
  };
  it.each([[4, 64, 2]])("with %i ranks and tiles of %i writes the picture that one thread renders", renders);
  thorough.each([
    [1, 32, 8],
    [3, 20, 15],
  ])("with %i ranks and tiles of %i writes the picture that one thread renders", renders);

  it("says what is wrong with an option, once, and draws nothing", async () => {
    const { stdout, stderr, code } = await run(["-n", "2", EXAMPLE, "--size", "big", "--out", "never.png"], {
      cwd: folder,
    });
    expect(code).toBe(2);
    expect(stderr).toMatch(/^render: --size takes .*"big"\ncarillon: rank 0 exited with code 2\n$/);
    expect(stdout).toBe("");
    expect(existsSync(join(folder, "never.png"))).toBe(false);
  });

  it("ends when a rank is killed whose threads compute", async () => {
    const words = ["-n", "3", EXAMPLE, "--size", "4000x3000"];
    expect(await killedAtWork(2, words, { cwd: folder })).toMatch(/rank 2 was killed by SIGKILL/);
  });
});
