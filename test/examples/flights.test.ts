// Flights: the table and its sums as units, and the program as its user runs it: the ranks' sums are right, and the chart shows them.
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { HelpWanted, UsageError } from "../../examples/common/command-line.js";
import { aggregateAlone, Delays, HOURS } from "../../examples/flights/delays.js";
import { parseOptions } from "../../examples/flights/options.js";
import { airportsOf, hourOf, readFlights } from "../../examples/flights/table.js";
import { run } from "../cli/fixtures/carillon.js";
import { thorough } from "../support/thorough.js";
import { EXAMPLES, killedAtWork } from "./example.js";

const EXAMPLE = `${EXAMPLES}/flights/main.js`;
const flights = await readFlights(new URL("../../examples/data/flights.csv", import.meta.url));
const airports = airportsOf(flights);

describe("the table", () => {
  it("has 10,000 flights of the first quarter of 2001", () => {
    expect(flights).toHaveLength(10_000);
    expect(flights[0]).toEqual({
      date: "2001/01/01 00:47",
      delay: 66,
      distance: 1750,
      origin: "DTW",
      destination: "LAS",
    });
    expect(flights.every(({ date }) => /^2001\/0[123]\/\d\d \d\d:\d\d$/.test(date))).toBe(true);
    expect(flights.every(({ delay, distance }) => Number.isInteger(delay) && Number.isInteger(distance))).toBe(true);
  });

  it("has 201 airports, the busiest first", () => {
    expect(airports).toHaveLength(201);
    expect(airports.slice(0, 3)).toEqual(["DFW", "ORD", "ATL"]);
  });

  it("is refused when it is another one", async () => {
    await expect(readFlights(new URL("../../package.json", import.meta.url))).rejects.toThrow(/no table/);
  });
});

describe("delays", () => {
  const delays = aggregateAlone(airports, flights);

  it("are those of the rows, hour by hour and in all", () => {
    for (const hour of [0, 5, 12, 23]) {
      const those = flights.filter((flight) => hourOf(flight) === hour);
      const minutes = those.reduce((sum, { delay }) => sum + delay, 0);
      expect(delays.hour(hour)).toEqual({ flights: those.length, minutes });
    }
    expect(delays.total()).toEqual({ flights: 10_000, minutes: flights.reduce((sum, { delay }) => sum + delay, 0) });
  });

  it("add up, whoever has which rows", () => {
    const parts = [0, 1, 2].map(
      (part) =>
        aggregateAlone(
          airports,
          flights.filter((_, i) => i % 3 === part),
        ).cells,
    );
    const sum = parts.reduce((a, b) => a.map((value, i) => value + (b[i] as number)));
    expect(sum).toEqual(delays.cells);
    expect(sum).toHaveLength(201 * HOURS * 2);
    expect(new Delays(airports, sum).at("ORD", 8)).toEqual(delays.at("ORD", 8));
  });
});

describe("options", () => {
  it.each([
    "--batch 0",
    "--batch few",
    "--times 10001",
    "--airport ORD",
    "delays",
    `--out ${tmpdir()}`,
    `--out ${join("no", "such", "folder", "a.svg")}`,
  ])("refuses %s in clear words", (words) => {
    expect(() => parseOptions(words.split(" "))).toThrow(UsageError);
  });

  it("asks for nothing", () => {
    expect(parseOptions([])).toEqual({ batch: 20, times: 1, out: "flights.svg" });
    expect(() => parseOptions(["--help"])).toThrow(HelpWanted);
  });
});

describe("the program", { timeout: 120_000 }, () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "flights-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  const sumsUp = async (ranks: number, words: readonly string[], rows: number) => {
    const { stdout, stderr, code } = await run(["-n", String(ranks), EXAMPLE, ...words], { cwd: folder });
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/check +the ranks' sums are those of one loop over the table/);
    expect(stdout).toMatch(/best hour +5 to 6 o'clock: .* 3\.6 minutes early/);
    expect(stdout).toMatch(/worst hour +22 to 23 o'clock: .* 25\.8 minutes late/);
    const shares = [...stdout.matchAll(/rank (\d): (\d+(?:,\d+)?)/g)].map(([, , share]) =>
      Number(share?.replaceAll(",", "")),
    );
    expect(shares).toHaveLength(Math.max(ranks - 1, 1));
    expect(shares.reduce((sum, share) => sum + share)).toBe(rows);
    expect(stderr).toMatch(new RegExp(`stream 100 % +flight ${rows} of ${rows}`));

    const svg = await readFile(join(folder, "flights.svg"), "utf8");
    expect(svg).toMatch(/^<svg [^>]*width="\d{3}"[^>]*>/);
    expect(svg.trimEnd().endsWith("</svg>")).toBe(true);
    for (const text of ["10,000 domestic flights", "hour of departure", "minutes late", ">DFW<", ">26<", ">−4<"]) {
      expect(svg).toContain(text);
    }
    // A bar for each hour with flights enough, and a field for each of the busiest airports' hours.
    expect(svg.match(/aria-roledescription="bar"/g)).toHaveLength(21);
    expect(svg.match(/aria-roledescription="rect mark"/g)?.length).toBeGreaterThan(250);
  };
  it.each([[4, ["--batch", "300", "--times", "2"], 20_000] as const])(
    "with %i ranks and %j sums up what one loop does, and draws it",
    sumsUp,
  );
  thorough.each([
    [1, [], 10_000],
    [2, ["--batch", "1"], 10_000],
  ] as const)("with %i ranks and %j sums up what one loop does, and draws it", sumsUp);

  it("says what is wrong with an option, once, and draws nothing", async () => {
    const { stdout, stderr, code } = await run(["-n", "3", EXAMPLE, "--batch", "none", "--out", "never.svg"], {
      cwd: folder,
    });
    expect(code).toBe(2);
    expect(stderr).toMatch(/^flights: --batch takes .*"none"\ncarillon: rank 0 exited with code 2\n$/);
    expect(stdout).toBe("");
    expect(existsSync(join(folder, "never.svg"))).toBe(false);
  });

  it("ends when a rank that aggregates is killed", async () => {
    const words = ["-n", "3", EXAMPLE, "--times", "10000"];
    expect(await killedAtWork(1, words, { cwd: folder })).toMatch(/rank 1 was killed by SIGKILL/);
  });
});
