// Draws: a picture's description becomes SVG, without a browser. It takes a second to load, so only who draws imports this.
import type { Chart } from "./charts.js";
import { colour, colourRules } from "./palette.js";
import { compile, parse, textMetrics, View } from "./vega.js";

// Without a browser nothing measures texts, and Vega's guess cuts off names that have room.
textMetrics.width = (item, text) => Math.ceil(widthOf(String(text), item.fontSize ?? 11, item.fontWeight === "bold"));

/** Of a sans serif of the wider kind (DejaVu, Verdana): what has room in these has in others. */
function widthOf(text: string, size: number, bold: boolean): number {
  const ems = [...text].reduce((sum, character) => sum + emsOf(character), 0);
  return ems * size * (bold ? 1.12 : 1);
}

function emsOf(character: string): number {
  if (/[ijlrtfI.,:;'|!()[\] /]/.test(character)) return 0.38;
  if (/[mwMW@%→●○]/.test(character)) return 0.97;
  return /[A-Z]/.test(character) ? 0.72 : 0.62;
}

/** An `<svg>` element for a page that has the colours' rules. */
export async function draw({ title, spec }: Chart): Promise<string> {
  const { spec: vega } = compile(spec);
  const view = new View(parse(vega), { renderer: "none" });
  try {
    const svg = await view.toSVG();
    return svg.replace(
      /^<svg /,
      `<svg role="img" aria-label="${title.replace(/[<>&"]/g, (c) => `&#${c.charCodeAt(0)};`)}" `,
    );
  } finally {
    view.finalize();
  }
}

/** The same as a file of its own, for light and dark. */
export async function drawFile(chart: Chart): Promise<string> {
  const svg = await draw(chart);
  const style = `<style>${colourRules("svg")}</style>`;
  return `${svg.replace(/>/, `>${style}<rect width="100%" height="100%" fill="${colour("paper")}"/>`)}\n`;
}
