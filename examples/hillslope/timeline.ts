// Draws some steps of the example's timeline, as Carillon recorded it, by Vega-Lite: what the ranks' threads did, and the messages between them.
// Responsible for what it shows of the file; Perfetto shows all of it.
//
//     CARILLON_TRACE=hillslope.json carillon run -n 2 dist/examples/hillslope/main.js --steps 40
//     node dist/examples/hillslope/timeline.js hillslope.json timeline.svg 20 3
import { readFile, writeFile } from "node:fs/promises";
import { parse, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import { INTERIOR } from "./interior.js";

/** An event of the Trace Event format, as far as it is drawn. */
interface Event {
  readonly ph: string;
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  /** Microseconds. */
  readonly ts: number;
  readonly dur?: number;
  readonly id?: string;
  readonly args: { readonly name?: string };
}

/** What is drawn of a thread: which spans, in this order, each so high. */
const KINDS = [
  { kind: "JavaScript", names: /^settle$/, height: 1 },
  { kind: "interior points", names: new RegExp(`^${INTERIOR}$`), height: 0.8 },
  { kind: "asleep", names: /^sleep$/, height: 0.2 },
  { kind: "native thread works", names: /^progress$/, height: 1 },
  { kind: "send", names: /^send to/, height: 0.55 },
  { kind: "ring", names: /^ring/, height: 0.55 },
  { kind: "match", names: /^(match|copy) from/, height: 0.55 },
] as const;
const COLOURS = ["#e3e8ee", "#7fb2d9", "#c9c9c9", "#f4d35e", "#2a9d5c", "#e4572e", "#7b2d8b"];
/** Shorter ones could not be seen: in shares of what is shown. */
const SHORTEST = 1 / 500;

const [file = "hillslope.json", out = "timeline.svg", from = "20", count = "3"] = process.argv.slice(2);
const { traceEvents } = JSON.parse(await readFile(file, "utf8")) as { traceEvents: Event[] };
const view = new View(parse(compile(chart(traceEvents, Number(from), Number(count))).spec), { renderer: "none" });
await writeFile(out, await view.toSVG());
view.finalize();

function chart(events: readonly Event[], from: number, count: number): TopLevelSpec {
  const steps = events.filter((each) => each.name === INTERIOR && each.pid === 1);
  const first = steps[from - 1];
  const last = steps[from + count - 1];
  if (!first || !last) throw new Error(`${file} has ${steps.length} steps: there are no ${count} from ${from} on`);
  const begin = first.ts - (last.ts - first.ts) / 20; // when its halos were sent
  const end = last.ts;
  const millis = (ts: number) => (Math.min(Math.max(ts, begin), end) - begin) / 1000;
  const lanes = lanesOf(events);
  const lane = ({ pid, tid }: Event) => lanes.get(`${pid}/${tid}`);
  const rows = [...lanes.values()];

  const spans = KINDS.flatMap(({ kind, names, height }) =>
    events
      .filter((each) => each.ph === "X" && names.test(each.name) && lane(each))
      .filter(({ ts, dur = 0 }) => ts < end && ts + dur > begin)
      .map((each) => {
        const row = rows.indexOf(lane(each) as string);
        const x = millis(each.ts);
        const x2 = Math.max(millis(each.ts + (each.dur ?? 0)), x + ((end - begin) / 1000) * SHORTEST);
        return { kind, x, x2, y: row + 0.5 - height * 0.4, y2: row + 0.5 + height * 0.4 };
      }),
  );
  const ends = new Map(events.filter(({ ph }) => ph === "f").map((each) => [each.id, each]));
  const messages = events
    .filter(({ ph, ts }) => ph === "s" && ts > begin && ts < end)
    .flatMap((sent) => {
      const met = ends.get(sent.id);
      if (!met || met.ts > end || !lane(sent) || !lane(met)) return [];
      const y = (each: Event) => rows.indexOf(lane(each) as string) + 0.5;
      return [{ x: millis(sent.ts), y: y(sent), x2: millis(met.ts), y2: y(met) }];
    });

  const x = { field: "x", type: "quantitative" } as const;
  const y = { field: "y", type: "quantitative" } as const;
  const domain: [number, number] = [0, (end - begin) / 1000];
  return {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    title: {
      text: "Halos travel while both ranks compute",
      subtitle: `hillslope, 2 ranks: steps ${from} to ${from + count - 1}. Lines lead from a send to its match`,
      anchor: "start",
      fontSize: 16,
      subtitleFontSize: 12,
      subtitleColor: "#666",
      offset: 12,
    },
    background: "white",
    padding: 16,
    width: 860,
    height: 60 * rows.length,
    config: { view: { stroke: null } },
    layer: [
      {
        data: { values: spans },
        mark: { type: "rect" },
        encoding: {
          x: {
            ...x,
            scale: { domain, nice: false },
            axis: { title: "milliseconds", grid: false, format: ".1~f", tickCount: 8 },
          },
          x2: { field: "x2" },
          y: { ...y, scale: { domain: [0, rows.length], reverse: true, nice: false }, axis: null },
          y2: { field: "y2" },
          color: {
            field: "kind",
            type: "nominal",
            scale: { domain: KINDS.map(({ kind }) => kind), range: COLOURS },
            legend: {
              title: null,
              orient: "bottom",
              columns: KINDS.length,
              symbolType: "square",
              labelFontSize: 12,
              labelLimit: 0,
            },
          },
        },
      },
      {
        data: { values: messages },
        mark: { type: "rule", color: "#222", strokeWidth: 1.2, opacity: 0.75 },
        encoding: { x, x2: { field: "x2" }, y, y2: { field: "y2" } },
      },
      {
        data: { values: rows.map((name, row) => ({ name, row: row + 0.5 })) },
        mark: { type: "text", align: "right", x: -10, fontSize: 12, color: "#333" },
        encoding: { y: { field: "row", type: "quantitative" }, text: { field: "name" } },
      },
    ],
  };
}

/** Threads by rank, JavaScript's first: "rank 0, main". */
function lanesOf(events: readonly Event[]): Map<string, string> {
  const named = events.filter(({ ph, name }) => ph === "M" && name === "thread_name");
  const lanes = named
    .filter(({ args }) => args.name === "main" || args.name === "progress")
    .map(({ pid, tid, args }) => ({ key: `${pid}/${tid}`, name: `rank ${pid - 1}, ${args.name}` }));
  lanes.sort((a, b) => (a.name < b.name ? -1 : 1));
  return new Map(lanes.map(({ key, name }) => [key, name]));
}
