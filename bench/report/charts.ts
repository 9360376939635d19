// The pictures of a run: which there are, and what each shows, as Vega-Lite. Made from a report alone. Not responsible for how a
// kind of picture looks (lines.ts, dots.ts, heat.ts) nor for drawing (draw.ts).
import type { TopLevelSpec } from "vega-lite";
import type { Report, ReportResult, ReportRow } from "../harness/report.js";
import type { Figure } from "../harness/row.js";
import { type Dot, dots } from "./dots.js";
import { heat } from "./heat.js";
import { lines, type Point } from "./lines.js";
import { stylesOf } from "./palette.js";

export interface Chart {
  /** Of its file, without suffix. */
  readonly name: string;
  readonly title: string;
  readonly caption: string;
  readonly spec: TopLevelSpec;
}

type Shown = ReportRow & { readonly figure: Figure };

const PLACES: Record<string, string> = {
  apart: "two processors",
  "threads-apart": "two processors",
  together: "one processor",
  free: "where the scheduler likes",
};
const STATES: Record<string, string> = {
  idle: "receiver idle",
  computing: "receiver computes",
  "all-computing": "receiver computes, and all processors",
};
const WHISKERS = "Whiskers: p10 to p90.";

export function charts(report: Report): Chart[] {
  const shown = report.rows.filter((row): row is Shown => row.figure !== undefined && row.results.some(ran));
  const styles = stylesOf(report.rows.flatMap((row) => row.results.map(({ peer }) => peer)));
  const of = (kind: Figure["kind"]) => shown.filter(({ figure }) => figure.kind === kind);

  const bySize = (
    kind: "latency" | "latency-object" | "bandwidth",
    title: string,
    value: { title: string; of: (ns: number, bytes: number) => number },
    [how, limit, better]: readonly [how: string, limit: string | undefined, better: string],
  ) =>
    grouped(of(kind), placeOf).flatMap(([place, rows]): Chart[] => {
      const points = rows.flatMap((row) => row.results.filter(ran).flatMap((result) => pointOf(row, result, value.of)));
      const name = `${kind}-${place}`;
      const where = PLACES[place] ?? place;
      const caption = (said: string) => `${how} ${WHISKERS} ${limit === undefined ? "" : said}${better} is better.`;
      const sizes = new Set(points.map(({ x }) => x));
      if (sizes.size > 1) {
        const said = caption(`Dashed: ${limit}, the physical limit. `);
        const spec = lines(points, "bytes", { value: value.title, styles });
        return [{ name, title: `${title} against size, ${where}`, caption: said, spec }];
      }
      const one = `${title} of ${bytesOf(points[0]?.x ?? 0)}, ${where}`;
      const panel = points.map(({ value: mid, x: _, ...rest }): Dot => ({ ...rest, mid, panel: "" }));
      const said = caption(`Physical limit: ${limit}. `);
      return [{ name, title: one, caption: said, spec: dots(panel, { value: value.title, styles }) }];
    });

  return [
    ...bySize("latency", "Round trip", { title: "round trip, µs", of: (ns) => ns / 1e3 }, [
      "Median of single round trips.",
      "C",
      "Less",
    ]),
    ...bySize("latency-object", "Round trip of values", { title: "round trip, µs", of: (ns) => ns / 1e3 }, [
      "As values on both sides, so that both serialize and deserialize; median of single round trips.",
      undefined,
      "Less",
    ]),
    ...bySize("bandwidth", "Bandwidth", { title: "GB/s", of: (ns, bytes) => bytes / ns }, [
      "One way, median of batches.",
      "memcpy",
      "More",
    ]),
    ...rateChart(of("rate"), styles),
    ...grouped(of("overlap"), (row) => (row.id.startsWith("doorbell-") ? "doorbell" : "")).flatMap(([which, rows]) => {
      const apart = rows.filter(({ placement }) => placement?.id !== "together");
      return apart.length === 0 ? [] : [overlapChart(apart, which)];
    }),
    ...of("overlap-total").map((row) => totalChart(row, styles)),
    ...grouped(of("reaction"), ({ figure }) => String(figure.bytes)).map(([bytes, rows]) =>
      reactionChart(rows, Number(bytes), styles),
    ),
  ];
}

function rateChart(rows: readonly Shown[], styles: ReturnType<typeof stylesOf>): Chart[] {
  if (rows.length === 0) return [];
  const each = rows.flatMap((row) =>
    row.results.filter(ran).flatMap((result) =>
      pointOf(row, result, (ns) => 1e3 / ns).map(({ value: mid, x: _, ...rest }): Dot => {
        const several = new Set(rows.map(({ figure }) => figure.bytes)).size > 1;
        const size = several ? `, ${bytesOf(row.figure.bytes)}` : "";
        return { ...rest, mid, panel: `${PLACES[placeOf(row)] ?? placeOf(row)}${size}` };
      }),
    ),
  );
  const [first] = rows;
  return [
    {
      name: "rate",
      title: `Short messages one way${first ? `: ${bytesOf(first.figure.bytes)}` : ""}`,
      caption: `As many as possible, median of batches. ${WHISKERS} More is better.`,
      spec: dots(each, { value: "million messages a second", styles }),
    },
  ];
}

function reactionChart(rows: readonly Shown[], bytes: number, styles: ReturnType<typeof stylesOf>): Chart {
  const each = rows.flatMap((row) =>
    row.results.filter(ran).map(({ peer, name, values }): Dot => {
      const us = (key: string) => (values?.[key] ?? Number.NaN) / 1e3;
      const state = row.figure.kind === "reaction" ? row.figure.state : "";
      return { peer, name, panel: STATES[state] ?? state, mid: us("medianNs"), high: us("p99Ns") };
    }),
  );
  return {
    name: bytes === 0 ? "reaction-empty" : "reaction",
    title: `Reaction time by doorbell: ${bytes === 0 ? "no body" : bytesOf(bytes)}`,
    caption:
      "Posted → matched and answered natively → seen by the sender. Filled: p50; ring: p99. C, dashed: the physical limit. Less is better.",
    spec: dots(each, { value: "reaction, µs (p50 ● to p99 ○)", styles, ends: "ring" }),
  };
}

function overlapChart(rows: readonly Shown[], which: string): Chart {
  return {
    name: which === "" ? "overlap" : `overlap-${which}`,
    title: `How much of a transfer a computation hides${which === "" ? "" : ", by doorbell"}`,
    caption:
      "Overhead ratio (Denis and Trahay, ICPP 2016) of a message of that size beside a computation, in lengths R of that message alone. 0: all of it is hidden; 1: nothing.",
    spec: heat(
      rows.flatMap((row) =>
        row.results.filter(ran).flatMap(({ name, values }) =>
          Object.entries(values ?? {}).flatMap(([key, overhead]) => {
            const factor = /^overhead([\d.]+)$/.exec(key)?.[1];
            if (factor === undefined || overhead === null || row.figure.kind !== "overlap") return [];
            return [{ name, side: row.figure.side, bytes: row.figure.bytes, factor: Number(factor), overhead }];
          }),
        ),
      ),
    ),
  };
}

/** Of a row: its values `total<NS>Ns`, beside a computation of so many nanoseconds. */
function totalChart(row: Shown, styles: ReturnType<typeof stylesOf>): Chart {
  const points = row.results.filter(ran).flatMap(({ peer, name, values }) =>
    Object.keys(values ?? {}).flatMap((key): Point[] => {
      const ns = /^total([\d.]+)Ns$/.exec(key)?.[1];
      if (ns === undefined) return [];
      const ms = (of: string) => (values?.[`total${ns}${of}`] ?? Number.NaN) / 1e6;
      const [value, low, high] = [ms("Ns"), ms("P10Ns"), ms("P90Ns")];
      const spread = Number.isFinite(low) && Number.isFinite(high) ? { low, high } : {};
      return Number.isFinite(value) ? [{ peer, name, x: Number(ns) / 1e6, value, ...spread }] : [];
    }),
  );
  return {
    name: row.id.replace(/[^\w-]+/g, "-"),
    title: row.title,
    caption: `From before the send until the receiver's acknowledgement. ${WHISKERS} Less is better.`,
    spec: lines(points, "milliseconds", { value: "message and computation, ms", styles }),
  };
}

function pointOf(row: Shown, result: ReportResult, value: (ns: number, bytes: number) => number): Point[] {
  const { peer, name, values } = result;
  const { bytes } = row.figure;
  const of = (key: string) => value(values?.[key] ?? Number.NaN, bytes);
  const [mid, one, other] = [of("medianNs"), of("p10Ns"), of("p90Ns")];
  if (!Number.isFinite(mid)) return [];
  const spread = Number.isFinite(one) && Number.isFinite(other);
  return [
    { peer, name, x: bytes, value: mid, ...(spread ? { low: Math.min(one, other), high: Math.max(one, other) } : {}) },
  ];
}

function ran({ values }: ReportResult): boolean {
  return values !== undefined;
}

function placeOf({ placement }: ReportRow): string {
  return placement?.id ?? "free";
}

function grouped<T>(all: readonly T[], key: (one: T) => string): [string, T[]][] {
  const groups = new Map<string, T[]>();
  for (const one of all) groups.set(key(one), [...(groups.get(key(one)) ?? []), one]);
  return [...groups];
}

export function bytesOf(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB"];
  let i = 0;
  let value = bytes;
  for (; value >= 1024 && i < units.length - 1; i++) value /= 1024;
  return `${Number(value.toFixed(1))} ${units[i]}`;
}
