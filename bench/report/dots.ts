// A line for each peer, its figure as a dot, with whiskers or a second mark where it scatters; a panel for each placement or state.
import type { TopLevelSpec } from "vega-lite";
import { look, nameScales } from "./look.js";
import { colour, isLimit, type Style } from "./palette.js";

export interface Dot {
  readonly peer: string;
  readonly name: string;
  /** Title of the panel; empty: there is one only. */
  readonly panel: string;
  readonly mid: number;
  readonly low?: number;
  readonly high?: number;
}

type Panel = Extract<TopLevelSpec, { vconcat: unknown }>["vconcat"][number];

const ROW_HEIGHT = 20;
const WIDTH = 510;
/** Names are cut off beyond. */
const NAME_WIDTH = 270;

export function dots(
  all: readonly Dot[],
  { value, styles, ends = "whisker" }: { value: string; styles: ReadonlyMap<string, Style>; ends?: "whisker" | "ring" },
): TopLevelSpec {
  const numbers = all.flatMap(({ mid, low, high }) => [mid, low ?? mid, high ?? mid]).filter((each) => each > 0);
  const domain: [number, number] = [Math.min(...numbers) / 1.3, Math.max(...numbers) * 1.3];
  const colours = nameScales(all, styles);
  const panels = [...new Set(all.map(({ panel }) => panel))];
  const ring = ends === "ring";

  function panel(title: string, last: boolean): Panel {
    const x = {
      type: "quantitative",
      scale: { type: "log", domain, nice: false },
      axis: { title: last ? value : null },
    } as const;
    const dots = all.filter((dot) => dot.panel === title);
    const names = dots.toSorted((a, b) => a.mid - b.mid).map(({ name }) => name);
    return {
      ...(title === "" ? {} : { title: { text: title, anchor: "start", frame: "bounds", fontSize: 12 } }),
      width: WIDTH,
      height: { step: ROW_HEIGHT },
      data: {
        values: dots.map((dot) => ({
          ...dot,
          low: dot.low ?? dot.mid,
          high: dot.high ?? dot.mid,
          limit: isLimit(dot.peer),
        })),
      },
      encoding: {
        y: {
          field: "name",
          type: "nominal",
          scale: { domain: names },
          axis: { title: null, labelLimit: NAME_WIDTH, minExtent: NAME_WIDTH, grid: true, gridDash: [1, 3] },
        },
        color: { field: "name", type: "nominal", scale: colours.colour, legend: null },
      },
      layer: [
        {
          mark: { type: "rule", strokeWidth: ring ? 1.5 : 5, opacity: ring ? 0.8 : 0.35 },
          encoding: {
            x: { field: "low", ...x },
            x2: { field: "high" },
            strokeDash: { condition: { test: "datum.limit", value: ring ? [5, 4] : [1, 0] }, value: [1, 0] },
          },
        },
        ...(ring
          ? [
              {
                mark: { type: "point", size: 60, fill: colour("paper"), strokeWidth: 2, opacity: 1 },
                encoding: { x: { field: "high", ...x } },
              } as const,
            ]
          : []),
        {
          mark: { type: "point", filled: true, size: 80, opacity: 1 },
          encoding: {
            x: { field: "mid", ...x },
            shape: { field: "name", type: "nominal", scale: colours.shape, legend: null },
          },
        },
      ],
    };
  }

  return { ...look(), spacing: 14, vconcat: panels.map((title, i) => panel(title, i === panels.length - 1)) };
}
