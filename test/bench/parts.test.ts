// The bench's judgements one by one: when rounds tell two runs apart, what a quick run has time for, what a reader is told of the
// machine, what is said of files.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { Budget } from "../../bench/harness/budget.js";
import { notesOn } from "../../bench/harness/conditions.js";
import type { Peer } from "../../bench/harness/peer.js";
import { mannWhitney } from "../../bench/report/compare.js";
import { openOutputs } from "../../bench/report/outputs.js";
import { readOld, readReport } from "../../bench/report/read.js";
import { overlaps } from "../../bench/rows/overlap.js";

test("the rank test is exact: all of one above all of the other, interleaved, equal", () => {
  expect(mannWhitney([1, 2, 3, 4, 5], [6, 7, 8, 9, 10])).toBeCloseTo(2 / 252, 12);
  expect(mannWhitney([6, 7, 8, 9, 10], [1, 2, 3, 4, 5])).toBeCloseTo(2 / 252, 12);
  expect(mannWhitney([1, 2, 3, 4, 6], [5, 7, 8, 9, 10])).toBeCloseTo(4 / 252, 12);
  expect(mannWhitney([1, 3, 5, 7, 9], [2, 4, 6, 8, 10])).toBeCloseTo(0.6905, 3); // as tables of it have it
  expect(mannWhitney([1, 1, 1], [1, 1, 1])).toBe(1);
  expect(mannWhitney([1], [2])).toBe(1);
});

test("a quick run begins with what says most, and leaves out what would be late", () => {
  const row = (id: string) => ({ id, title: id, about: "", columns: [], headline: "", run: async () => [] });
  const rows = ["scale", "idle", "roundtrip-8B/free", "roundtrip-8B/apart"].map(row);
  const quick = new Budget(true);
  expect(quick.order(rows).map(({ id }) => id)).toEqual(["roundtrip-8B/apart", "roundtrip-8B/free", "idle", "scale"]);
  expect(rows.map((each) => quick.fits(each))).toEqual([true, true, true, true]); // nothing is known yet
  quick.measured(row("roundtrip-8B/apart"), 8);
  expect(rows.map((each) => quick.fits(each))).toEqual([true, true, true, true]);
  quick.measured(row("roundtrip-8B/free"), 80); // a slow machine
  expect(rows.map((each) => quick.fits(each))).toEqual([false, true, true, true]);
  const thorough = new Budget(false);
  expect(thorough.order(rows)).toEqual(rows);
  expect(thorough.secondsFor(rows)).toBeUndefined();
  thorough.measured(row("idle"), 1_000);
  expect(rows.every((each) => thorough.fits(each))).toBe(true);
  expect(thorough.secondsFor(rows)).toBeGreaterThan(1_000);
});

test("notes: fewer processors than the question needs, others at work, a hypervisor that takes", () => {
  const machine = (usable: number, quotaCpus?: number) =>
    ({ usable, ...(quotaCpus === undefined ? {} : { quotaCpus }) }) as Parameters<typeof notesOn>[1];
  const row = (placement: string | undefined, cpus?: number) =>
    ({ ...(placement ? { placement: { id: placement } } : {}), ...(cpus ? { cpus } : {}) }) as Parameters<
      typeof notesOn
    >[0];
  const quiet = { seconds: 5, othersCpus: 0.01, stolenCpus: 0 };
  expect(notesOn(row("free"), machine(2), quiet)).toEqual([]);
  expect(notesOn(row("free"), machine(1), quiet)).toEqual([
    expect.stringMatching(/^this asks for 2 CPUs and may use 1/),
  ]);
  expect(notesOn(row("apart"), machine(4, 1.5), quiet)).toEqual([expect.stringMatching(/2 CPUs and may use 1\.50/)]);
  expect(notesOn(row("together"), machine(1), quiet)).toEqual([]);
  expect(notesOn(row("threads-apart", 3), machine(2), undefined)).toHaveLength(1);
  expect(notesOn(row(undefined), machine(1), { seconds: 5, othersCpus: 0.5, stolenCpus: 0.1 })).toEqual([
    "others used 0.500 CPUs of this machine meanwhile",
    "the hypervisor took 0.100 CPUs away meanwhile",
  ]);
});

test.each([
  // The first two belong to the warm-up.
  ["one round trip was disturbed", (roundTrip: number) => roundTrip === 4, { oneWayNs: 5_000, worst: 3, worstP90: 3 }],
  ["all were", (roundTrip: number) => roundTrip > 2, { oneWayNs: 3_000 }], // half of the exchange, which takes 6,000
])("overlap: no message is faster than its acknowledgement, though %s", async (_, disturbed, values) => {
  const [acknowledgement, message] = [1_000, 5_000];
  let roundTrips = 0;
  const peer: Peer = {
    id: "peer",
    name: "peer",
    start: async () => ({
      pids: [],
      talkers: [],
      // Nothing is hidden, and the computation is disturbed as long as a message takes.
      measure: async ({ workload, count }) => {
        const [kind, , ns] = workload.split(":");
        let time = Number(ns);
        if (kind === "recv") time += message + acknowledgement + (time > 0 ? message : 0);
        if (kind === "bytes") time = 2 * (disturbed(++roundTrips) ? message + acknowledgement : acknowledgement);
        return { nanoseconds: time * count, count, each: Array(count).fill(time) };
      },
      stop: async () => {},
    }),
  };
  const row = overlaps([peer], [peer]).find(({ id }) => id === "overlap-recv-8MiB/together");
  const context = { quick: false, rounds: 5, batchNs: 1e6, folder: work, progress: () => {} };
  const [result] = (await row?.run(context)) ?? [];
  expect(result?.values).toMatchObject(values);
});

const KEPT = fileURLToPath(new URL("../report/run.json", import.meta.url));
const work = mkdtempSync(join(tmpdir(), "carillon-bench-parts-"));
afterAll(() => rmSync(work, { recursive: true, force: true }));

test("a file that is no run, a later one's or a damaged one says so; the first version's can be compared with, not shown", () => {
  const file = (name: string, content: unknown) => {
    writeFileSync(join(work, name), typeof content === "string" ? content : JSON.stringify(content));
    return join(work, name);
  };
  const kept = JSON.parse(readFileSync(KEPT, "utf8"));
  const first = { ...kept, formatVersion: 1, verdicts: undefined, leftOut: undefined };
  expect(() => readOld(work)).toThrow(/cannot be read: EISDIR/);
  expect(() => readOld(file("text", "no JSON"))).toThrow(/text cannot be read: .*JSON/);
  expect(() => readOld(file("null", null))).toThrow(/null is not what carillon bench --json writes/);
  expect(() => readOld(file("other", { format: "vitest" }))).toThrow(/other is not what carillon bench --json writes/);
  expect(() => readOld(file("late", { ...kept, formatVersion: 9 }))).toThrow(/version 9; this Carillon reads 1 to 2/);
  expect(() => readOld(file("cut", { ...kept, rows: [{ id: 1 }] }))).toThrow(/damaged: "rows"\[0\] has no id/);
  expect(() => readOld(file("bare", { ...kept, machine: null }))).toThrow(/damaged: "machine" is missing/);
  expect(() => readReport(file("first", first))).toThrow(/version 1; this Carillon reads 2/);
  expect(() => readReport(file("half", { ...first, formatVersion: 2 }))).toThrow(/damaged: "verdicts" or "leftOut"/);
  expect(readOld(join(work, "first")).rows).toHaveLength(kept.rows.length);
  expect(readReport(KEPT)).toEqual(kept);
});

test("where nothing can be written is said before anything is measured; what is there is left alone until then", () => {
  const nothing = { json: undefined, html: undefined, plots: undefined };
  expect(() => openOutputs({ ...nothing, html: work })).toThrow(/cannot be written: EISDIR/);
  expect(() => openOutputs({ ...nothing, json: join(work, "none", "run.json") })).toThrow(
    /run\.json cannot be written: ENOENT/,
  );
  expect(() => openOutputs({ ...nothing, plots: join(KEPT, "plots") })).toThrow(/plots cannot be written: ENOTDIR/);
  writeFileSync(join(work, "old.json"), "old");
  openOutputs({ ...nothing, json: join(work, "old.json") });
  expect(readFileSync(join(work, "old.json"), "utf8")).toBe("old");
});
