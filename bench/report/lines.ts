// A line for each peer against the size of messages or the length of a computation, with whiskers where Carillon's figures scatter, and the
// physical limit dashed.
import type { TopLevelSpec } from "vega-lite";
import { look, nameScales, WIDTH } from "./look.js";
import { isLimit, type Style } from "./palette.js";

export interface Point {
  readonly peer: string;
  readonly name: string;
  readonly x: number;
  readonly value: number;
  readonly low?: number;
  readonly high?: number;
}

/** "64 KiB" of a number of bytes, in Vega's expressions. */
export const BYTES =
  "datum.value >= 1073741824 ? datum.value / 1073741824 + ' GiB' : datum.value >= 1048576 ? datum.value / 1048576 + ' MiB' : datum.value >= 1024 ? datum.value / 1024 + ' KiB' : datum.value + ' B'";

const HEIGHT = 360;
const LEGEND_COLUMNS = 2;
const LEGEND_ROW_HEIGHT = 15;

const ACROSS = {
  bytes: { title: "size of a message", labelExpr: BYTES },
  milliseconds: { title: "computation alone, ms", labelExpr: "datum.value" },
} as const;

export function lines(
  points: readonly Point[],
  across: keyof typeof ACROSS,
  { value, styles }: { value: string; styles: ReadonlyMap<string, Style> },
): TopLevelSpec {
  const scales = nameScales(points, styles);
  const values = [...new Set(points.map(({ x }) => x))].sort((a, b) => a - b);
  const [least, most] = [values[0] ?? 1, values.at(-1) ?? 1];
  const domain = (across === "bytes" ? [least / 1.25, most * 1.25] : [-0.02 * most, 1.02 * most]) as [number, number];
  const scale = across === "bytes" ? ({ type: "log", base: 2 } as const) : {};
  const x = {
    field: "x",
    type: "quantitative",
    scale: { ...scale, domain, nice: false },
    axis: { ...ACROSS[across], values, labelOverlap: "greedy", grid: false },
  } as const;
  const y = {
    field: "value",
    type: "quantitative",
    scale: { type: "log", nice: false, padding: 10 },
    axis: { title: value },
  } as const;
  // Below, so that the lines have the width: names are long, and there are up to seventeen.
  const below = { orient: "bottom", columns: LEGEND_COLUMNS, labelLimit: WIDTH / LEGEND_COLUMNS } as const;
  const legend = { title: null, symbolOpacity: 1, symbolStrokeWidth: 0, ...below } as const;
  const names = new Set(points.map(({ name }) => name)).size;
  const common = {
    color: { field: "name", type: "nominal", scale: scales.colour, legend },
  } as const;
  return {
    ...look(),
    width: WIDTH,
    autosize: { type: "fit", contains: "padding" },
    height: HEIGHT + LEGEND_ROW_HEIGHT * Math.ceil(names / LEGEND_COLUMNS),
    data: {
      values: points.map((point) => ({
        ...point,
        ours: point.peer.startsWith("carillon"),
        limit: isLimit(point.peer),
      })),
    },
    encoding: { x },
    layer: [
      {
        transform: [{ filter: "datum.ours && isValid(datum.low)" }],
        mark: { type: "rule", strokeWidth: 5, opacity: 0.3 },
        encoding: { ...common, y: { ...y, field: "low" }, y2: { field: "high" } },
      },
      {
        mark: { type: "line", strokeWidth: 2 },
        encoding: {
          ...common,
          y,
          strokeDash: { field: "name", type: "nominal", scale: scales.dash, legend },
        },
      },
      {
        mark: { type: "point", filled: true, size: 60, opacity: 1 },
        encoding: {
          ...common,
          y,
          shape: { field: "name", type: "nominal", scale: scales.shape, legend },
        },
      },
    ],
  };
}
