// How all pictures look: fonts, axes, and the scales that give a peer its colour, dash and shape.
import type { Config } from "vega-lite";
import { colour, type Style } from "./palette.js";

/** Of a picture with its legend and axes: a page of 900 pixels has room for it. */
export const WIDTH = 800;
const FONT = "system-ui, -apple-system, 'Segoe UI', 'Liberation Sans', sans-serif";

export function look() {
  const config: Config = {
    aria: false, // the page says what a picture shows
    font: FONT,
    background: "transparent",
    view: { stroke: colour("rule") },
    axis: {
      labelColor: colour("faint"),
      titleColor: colour("faint"),
      titleFontWeight: "normal",
      labelFontSize: 11,
      titleFontSize: 12,
      gridColor: colour("rule"),
      domainColor: colour("faint"),
      tickColor: colour("faint"),
    },
    legend: {
      labelColor: colour("ink"),
      titleColor: colour("faint"),
      titleFontWeight: "normal",
      labelFontSize: 12,
      labelLimit: 300,
      symbolSize: 80,
      symbolStrokeWidth: 2,
    },
    title: { color: colour("ink") },
    header: { labelColor: colour("ink"), labelFontSize: 12 },
    text: { font: FONT },
  };
  return {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    padding: 8,
    config,
  } as const;
}

/** In the order in which peers come. */
export function nameScales(
  all: readonly { readonly peer: string; readonly name: string }[],
  styles: ReadonlyMap<string, Style>,
) {
  const byName = new Map(all.map(({ peer, name }) => [name, styles.get(peer)]));
  const domain = [...byName.keys()];
  const range = <T>(of: (style: Style) => T) => [...byName.values()].flatMap((style) => (style ? [of(style)] : []));
  return {
    colour: { domain, range: range((style) => style.colour) },
    dash: { domain, range: range((style) => [...style.dash]) },
    shape: { domain, range: range((style) => style.shape) },
  };
}
