// The picture, by Vega-Lite: mean delays per hour, and per hour at the busiest airports. Responsible for what it shows; it is given sums.
// Vega draws SVG without a browser; it takes a second to load, so only the rank that draws imports this.
import { writeFile } from "node:fs/promises";
import { parse, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import { type Delays, HOURS } from "./delays.js";

/** A mean of fewer flights says little, and is not shown: of all airports together, and of one. */
const FEWEST = 20;
const FEWEST_OF_ONE = 3;
/** Airports shown. */
const BUSIEST = 16;
/** A day begins here: what departs after midnight belongs to the evening before. */
const MORNING = 4;

const CLOCK = Array.from({ length: HOURS }, (_, i) => `${String((MORNING + i) % HOURS).padStart(2, "0")}`);

/** Writes the chart as SVG. `airports` are the busiest first. */
export async function writeChart(file: string, delays: Delays, airports: readonly string[]): Promise<void> {
  const view = new View(parse(compile(chart(delays, airports)).spec), { renderer: "none" });
  await writeFile(file, await view.toSVG());
  view.finalize();
}

interface Mean {
  readonly hour: string;
  readonly airport?: string;
  readonly flights: number;
  /** Minutes. */
  readonly delay: number;
}

function chart(delays: Delays, airports: readonly string[]): TopLevelSpec {
  const shown = airports.slice(0, BUSIEST);
  const means = CLOCK.flatMap((hour): Mean[] => {
    const { flights, minutes } = delays.hour(Number(hour));
    return flights < FEWEST ? [] : [{ hour, flights, delay: minutes / flights }];
  });
  const meansOfEach = shown.flatMap((airport) =>
    CLOCK.flatMap((hour): Mean[] => {
      const { flights, minutes } = delays.at(airport, Number(hour));
      return flights < FEWEST_OF_ONE ? [] : [{ hour, airport, flights, delay: minutes / flights }];
    }),
  );
  const { flights } = delays.total();
  const hour = { field: "hour", type: "ordinal", scale: { domain: CLOCK } } as const;
  const colours = { scheme: "redyellowblue", reverse: true, domainMid: 5, clamp: true } as const;
  const colour = {
    field: "delay",
    type: "quantitative",
    scale: { ...colours, domain: [-20, 40] as [number, number] },
  } as const;
  return {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    title: {
      text: "Who leaves late arrives late: delays grow through the day",
      subtitle: `${flights.toLocaleString("en-US")} domestic flights in the United States, January to March 2001`,
      anchor: "start",
      fontSize: 18,
      subtitleFontSize: 13,
      subtitleColor: "#666",
      offset: 16,
    },
    background: "white",
    padding: 20,
    config: { view: { stroke: null }, axis: { labelFontSize: 11, titleFontSize: 12, titleFontWeight: "normal" } },
    spacing: 24,
    resolve: { scale: { color: "independent" } },
    vconcat: [
      {
        width: 720,
        height: 200,
        data: { values: means },
        encoding: {
          x: { ...hour, axis: { title: null, labelAngle: 0 } },
          y: {
            field: "delay",
            type: "quantitative",
            scale: { domainMin: -10 },
            axis: { title: "minutes late, on average", tickCount: 6 },
          },
        },
        layer: [
          { mark: "bar", encoding: { color: { ...colour, legend: null } } },
          {
            mark: { type: "text", fontSize: 10, fill: "#444", dy: { expr: "datum.delay < 0 ? 8 : -7" } },
            encoding: { text: { field: "delay", type: "quantitative", format: ".0f" } },
          },
        ],
      },
      {
        width: 720,
        height: 320,
        data: { values: meansOfEach },
        mark: "rect",
        encoding: {
          x: { ...hour, axis: { title: "hour of departure, by the clock of the airport", labelAngle: 0 } },
          y: { field: "airport", type: "nominal", sort: shown, title: `the ${shown.length} busiest airports` },
          color: { ...colour, title: ["minutes late,", "on average"], legend: { gradientLength: 200 } },
        },
      },
    ],
  };
}
