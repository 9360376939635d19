// The files a run ends in: JSON, HTML, pictures. Opened before anything is measured, so that a path that cannot be written is an
// error at once, and written when all is known.
import { closeSync, mkdirSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { BenchOptions } from "../../src/cli/bench.js";
import { type Report, stringify } from "../harness/report.js";

/**
 * @returns what writes them
 * @throws Error that says which of them cannot be written
 */
export function openOutputs({ json, html, plots }: Pick<BenchOptions, "json" | "html" | "plots">) {
  const files = [json, html].filter((file): file is string => file !== undefined && file !== "-");
  // Not emptied: what is there, perhaps the file compared with, stays until the end.
  for (const file of files) attempt(file, () => closeSync(openSync(file, "a")));
  if (plots !== undefined) attempt(plots, () => mkdirSync(plots, { recursive: true }));
  return {
    async write(report: Report): Promise<void> {
      if (json === "-") process.stdout.write(stringify(report));
      else if (json !== undefined) writeFileSync(json, stringify(report));
      if (html === undefined && plots === undefined) return;
      const [{ charts }, { draw, drawFile }] = await Promise.all([import("./charts.js"), import("./draw.js")]);
      const all = charts(report);
      if (html !== undefined) {
        const { html: page } = await import("./html.js");
        const pictures = await Promise.all(all.map(async (chart) => ({ ...chart, svg: await draw(chart) })));
        writeFileSync(html, page(report, pictures));
      }
      if (plots === undefined) return;
      for (const chart of all) writeFileSync(join(plots, `${chart.name}.svg`), await drawFile(chart));
    },
  };
}

function attempt(path: string, step: () => void): void {
  try {
    step();
  } catch (error) {
    throw new Error(`${path} cannot be written: ${(error as Error).message}`);
  }
}
