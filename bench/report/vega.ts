// The plotting library. The package has it as one file with what is needed of it (src/bundle.mjs), loaded only to draw.
import * as vega from "vega";

export { parse, View } from "vega";
export { compile } from "vega-lite";

/** How wide a text is, which may be replaced. Vega's declarations leave it out. */
export const { textMetrics } = vega as unknown as {
  textMetrics: { width: (item: { readonly fontSize?: number; readonly fontWeight?: string }, text: unknown) => number };
};
