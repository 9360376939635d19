// Overhead ratios: size of the message against length of the computation, a panel for each peer and side that computes.
import type { TopLevelSpec } from "vega-lite";
import type { OverlapSide } from "../harness/peer.js";
import { BYTES } from "./lines.js";
import { look } from "./look.js";
import { HEAT, HEAT_DARK, HEAT_STEPS } from "./palette.js";

export interface Cell {
  readonly name: string;
  readonly side: OverlapSide;
  readonly bytes: number;
  /** Length of the computation, in lengths of the message alone. */
  readonly factor: number;
  readonly overhead: number;
}

const SIDES: Record<OverlapSide, string> = { send: "sender computes", recv: "receiver computes", both: "both compute" };
const CELL = { width: 56, height: 24 };
/** Of the names of sizes, so that all panels stand below one another. */
const SIZE_WIDTH = 50;

type Panel = Extract<TopLevelSpec, { vconcat: unknown }>["vconcat"][number];

export function heat(cells: readonly Cell[]): TopLevelSpec {
  const names = [...new Set(cells.map(({ name }) => name))];
  const sides = (Object.keys(SIDES) as OverlapSide[]).filter((side) => cells.some((cell) => cell.side === side));
  const factors = [...new Set(cells.map(({ factor }) => factor))].sort((a, b) => a - b);
  const sizes = [...new Set(cells.map(({ bytes }) => bytes))].sort((a, b) => b - a);
  const panels = names.map((name, i) => panel(name, i === 0, i === names.length - 1));
  return { ...look(), spacing: 14, vconcat: panels };

  /** Of a peer, its sides beside one another. */
  function panel(name: string, first: boolean, last: boolean): Panel {
    return {
      title: { text: name, anchor: "start", frame: "bounds", fontSize: 12, offset: 4 },
      data: { values: cells.filter((cell) => cell.name === name).map((cell) => ({ ...cell, side: SIDES[cell.side] })) },
      spacing: 16,
      facet: {
        field: "side",
        type: "nominal",
        sort: sides.map((side) => SIDES[side]),
        header: { title: null, labels: first },
      },
      columns: sides.length,
      spec: {
        width: { step: CELL.width },
        height: { step: CELL.height },
        encoding: {
          x: {
            field: "factor",
            type: "ordinal",
            scale: { domain: factors },
            axis: {
              title: last ? "computation" : null,
              labels: last,
              labelAngle: 0,
              ticks: false,
              domain: false,
              labelExpr: "datum.value == 0.5 ? 'R/2' : datum.value == 1 ? 'R' : datum.value + ' R'",
            },
          },
          y: {
            field: "bytes",
            type: "ordinal",
            scale: { domain: sizes },
            axis: { title: null, minExtent: SIZE_WIDTH, labelExpr: BYTES, ticks: false, domain: false },
          },
        },
        layer: [
          {
            mark: { type: "rect", stroke: null },
            encoding: {
              color: {
                field: "overhead",
                type: "quantitative",
                scale: { type: "threshold", domain: [...HEAT_STEPS], range: [...HEAT] },
                legend: { title: "overhead ratio", orient: "bottom", direction: "horizontal", gradientLength: 360 },
              },
            },
          },
          {
            mark: { type: "text", fontSize: 11 },
            encoding: {
              text: { field: "overhead", type: "quantitative", format: ".2f" },
              color: { condition: { test: `datum.overhead >= ${HEAT_DARK}`, value: "#ffffff" }, value: "#1d2129" },
            },
          },
        ],
      },
    };
  }
}
