// `carillon bench` as a command: what it refuses before it measures, what it writes, how it shows and compares earlier runs. Mostly of a
// run that is kept (test/report/run.json); how its pages look in a browser is test/report/main.mjs's business.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { carillon } from "../cli/fixtures/carillon.js";
import { thorough } from "../support/thorough.js";

const KEPT = fileURLToPath(new URL("../report/run.json", import.meta.url));
const work = mkdtempSync(join(tmpdir(), "carillon-bench-test-"));
afterAll(() => rmSync(work, { recursive: true, force: true }));

const bench = (...words: string[]) => carillon(["bench", ...words], { input: "" }).ended;
const read = (file: string) => JSON.parse(readFileSync(file, "utf8"));

function written(name: string, content: unknown): string {
  const file = join(work, name);
  writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
  return file;
}

/** The kept run, as if everything had been `times` as fast; less its first row, with one that is gone. */
function older(name: string, times: number, changes: object = {}): string {
  const kept = read(KEPT);
  const [, ...rows] = kept.rows.map((row: { headline: string; results: { values?: object; rounds?: number[] }[] }) => ({
    ...row,
    results: row.results.map(({ values, rounds, ...result }) => {
      const headline = (values as Record<string, number> | undefined)?.[row.headline];
      const then = headline === undefined ? {} : { values: { ...values, [row.headline]: headline / times } };
      return { ...result, ...then, ...(rounds ? { rounds: rounds.map((round) => round / times) } : {}) };
    }),
  }));
  return written(name, { ...kept, ...changes, rows: [...rows, { ...rows[0], id: "roundtrip-9B/apart" }] });
}

test("what cannot be meant is refused before anything is measured", async () => {
  const refused: [string[], RegExp][] = [
    [["--loud"], /Unknown option `--loud`/],
    [["--rounds", "0"], /--rounds takes a whole number from 1, not 0/],
    [["--rounds", "few"], /--rounds takes a whole number from 1, not "few"/],
    [["--json", "a", "--json", "b"], /--json can be given once/],
    [["--only", "nothing-like-it"], /no such row; there are\nroundtrip-8B\/apart\n/],
    [["--json", join(work, "none", "run.json")], /run\.json cannot be written: ENOENT/],
    [["--compare", join(work, "none.json")], /none\.json cannot be read: ENOENT/],
  ];
  const ended = await Promise.all(refused.map(([words]) => bench(...words)));
  for (const [i, [words, reason]] of refused.entries()) {
    const { code, stdout, stderr } = ended[i] as Awaited<ReturnType<typeof bench>>;
    expect({ code, stdout, stderr }, words.join(" ")).toEqual({
      code: 2,
      stdout: "",
      stderr: expect.stringMatching(reason),
    });
  }
});

test("--list names the rows that are asked for, whose every column can be written as JSON", async () => {
  const { code, stdout } = await bench("--list", "--only", "roundtrip-8B,idle");
  expect(code).toBe(0);
  expect(stdout).toMatch(/^roundtrip-8B\/apart\nroundtrip-8B\/together\n(.*\n)*idle\n/);
});

thorough("a run: what it prints, and the same as JSON with all that tables and pictures need", async () => {
  const file = join(work, "run.json");
  const { code, stdout, stderr } = await bench(
    "--quick",
    "--rounds",
    "1",
    "--only",
    "roundtrip-8B/apart",
    "--json",
    file,
  );
  expect(code, stderr).toBe(0);
  expect(stdout).toMatch(/^carillon \S+ bench, .* UTC: 1 round, quick, peers in turn\n.*CPUs?.*\nLinux .*load average/);
  expect(stdout).toMatch(/\n {2}1 round, \d+(–\d+)? single passes of each peer +median µs +× carillon/);
  expect(stderr).toMatch(/^\[1\/1, \d+ s left\] Round trip of 8 bytes, apart$/m);
  const run = read(file);
  expect(run).toMatchObject({ format: "carillon-bench", formatVersion: 2, quick: true, rounds: 1, leftOut: [] });
  expect(run.machine).toMatchObject({
    node: process.version,
    usable: expect.any(Number),
    loadAtStart: expect.any(Number),
  });
  const [row, ...others] = run.rows;
  expect(others).toEqual([]);
  expect(row).toMatchObject({
    id: "roundtrip-8B/apart",
    figure: { kind: "latency", bytes: 8 },
    headline: "medianNs",
    conditions: { seconds: expect.any(Number), othersCpus: expect.any(Number), stolenCpus: expect.any(Number) },
  });
  expect(row.columns).toContainEqual({ key: "medianNs", title: "median µs", format: "microseconds" });
  for (const { unavailable, values, rounds } of row.results) {
    if (unavailable === undefined) expect(values.medianNs).toBe(rounds[0]);
    else expect(unavailable).toMatch(/./);
  }
  // Shown again, nothing is different.
  const again = await bench("--from", file);
  expect(again).toMatchObject({ code: 0, stderr: "", stdout });
});

test("--from shows a run again: tables with reasons and notes, targets, what was left out; JSON to stdout leaves that to stderr", async () => {
  const { code, stdout, stderr } = await bench("--from", KEPT, "--json", "-", "--plots", join(work, "plots"));
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual(read(KEPT));
  expect(stderr).toContain("2 CPUs (limited to 1.50 by a control group)");
  expect(stderr).toContain("Note: others used 0.35 CPUs of this machine meanwhile\n");
  expect(stderr).toMatch(/ {2}C spin, shared memory +not measured: gcc is not there to compile it: install it\n/);
  expect(stderr).toMatch(/together\n.*\n {2}not measured: taskset \(util-linux\) is not there to pin processes with\n/);
  expect(stderr).toMatch(/NOT MET +1 MiB, shared memory/);
  expect(stderr).toContain("Left out, for a quick run ends within a minute: scale, pool-throughput\n");
  expect(readdirSync(join(work, "plots")).sort()).toEqual(
    [
      "bandwidth-apart",
      "latency-apart",
      "latency-free",
      "overlap-total-recv-8MiB-threads-apart",
      "overlap",
      "rate",
      "reaction",
    ].map((name) => `${name}.svg`),
  );
});

test("--compare says what else has changed first, then what differs beyond its scatter, and which rows and peers are gone or new", async () => {
  const machine = { ...read(KEPT).machine, node: "v18.0.0" };
  const old = older("old.json", 1.5, { machine, startedAt: "2025-01-01T00:00:00.000Z" });
  const file = join(work, "compared.json");
  const { code, stdout } = await bench("--from", KEPT, "--compare", old, "--json", file);
  expect(code).toBe(0);
  const [, , , first, second] = stdout.split("\n");
  expect(first).toBe("Compared with carillon 0.1.0, 2025-01-01 00:00 UTC: medians then and now.");
  expect(second).toBe("Not the same as then, so that changes need not be Carillon's: Node.js: v20.19.0, then v18.0.0");
  expect(stdout).toMatch(/ {2}carillon +0\.926 +1\.00× +0\.61\d +1\.50× .*4000 {2}slower than before\n/);
  expect(stdout).toMatch(/\d+ of \d+ figures differ beyond what their rounds scatter/);
  expect(stdout).toContain("\nIn the old run only: roundtrip-9B/apart\nNot in the old run: roundtrip-8B/apart\n");
  const compared = read(file);
  expect(compared.comparedWith).toMatchObject({ rowsGone: ["roundtrip-9B/apart"], rowsNew: ["roundtrip-8B/apart"] });
  const { before } = compared.rows[1].results[0];
  expect(before).toMatchObject({ change: "slower", p: expect.closeTo(2 / 252, 6), ratio: expect.closeTo(1.5, 3) });
  // No rounds of this one, so that nothing tells whether it differs.
  const idle = compared.rows.find(({ id }: { id: string }) => id === "idle").results[0];
  expect(idle.before).toEqual({ change: "untested", value: expect.any(Number), ratio: expect.closeTo(1.5, 3) });
});

thorough(
  "with --strict, significantly slower by more than 10 % is exit code 1, slightly slower or faster is not",
  async () => {
    const kept = read(KEPT);
    const now = written("now.json", { ...kept, verdicts: kept.verdicts.slice(0, 1) });
    const codes = await Promise.all(
      [1.5, 1.08, 0.5].map(async (times) => {
        const { code } = await bench("--from", now, "--compare", older(`old-${times}.json`, times), "--strict");
        return code;
      }),
    );
    expect(codes).toEqual([1, 0, 0]);
    expect((await bench("--from", KEPT, "--strict")).code).toBe(1); // a target is missed
  },
);
