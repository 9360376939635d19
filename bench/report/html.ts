// The report as one HTML file that needs nothing else: machine, pictures, every table, verdicts. Everything in it comes from the
// report and the pictures drawn of it; it has no script, and its policy forbids it to load anything.
import { machineLines } from "../harness/machine.js";
import { type Report, type ReportRow, runsOf } from "../harness/report.js";
import { tableOf } from "../harness/table.js";
import type { Verdict } from "../harness/verdict.js";
import type { Chart } from "./charts.js";
import { colourRules } from "./palette.js";
import { comparisonLines, conditionsOf, introduction } from "./prose.js";

export interface Picture extends Chart {
  /** An `<svg>` element. */
  readonly svg: string;
}

export function html(report: Report, pictures: readonly Picture[]): string {
  const { machine, verdicts } = report;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>carillon bench, ${escaped(report.startedAt.slice(0, 10))}</title>
<style>
${colourRules(":root")}
${STYLE}
</style>
</head>
<body>
<h1>carillon bench</h1>
<p>${escaped(introduction(report))}</p>
${paragraphs(machineLines(machine), "machine")}
${notes(report)}
${section("How it was measured", METHOD.map((text) => `<p>${text}</p>`).join("\n"))}
${pictures.length > 0 ? section("Pictures", pictures.map(figure).join("\n")) : ""}
${section("Tables", report.rows.map(table).join("\n"))}
${verdicts.length > 0 ? section("Targets", verdictList(verdicts)) : ""}
</body>
</html>
`;
}

const METHOD = [
  "All peers of a table are measured in one run, in turn, after a warm-up of each, so that whatever happens to the machine happens to all of them. Figures are medians; p10, p90 and p99 are of single passes where these can be timed, else of the rounds' batches. Beside each figure is its ratio to Carillon’s, or to what the column says.",
  "<dfn>apart</dfn>: both processes pinned to a processor of their own; <dfn>threads-apart</dfn>: only their main threads; <dfn>together</dfn>: both on one; <dfn>free</dfn>: where the scheduler likes.",
];

function notes(report: Report): string {
  const lines = [...comparisonLines(report), ...conditionsOf(report)];
  if (lines.length === 0) return "";
  return `<ul class="notes">\n${lines.map((line) => `<li>${escaped(line)}</li>`).join("\n")}\n</ul>`;
}

function figure({ title, caption, svg }: Picture): string {
  return `<figure>\n<h3>${escaped(title)}</h3>\n${svg}\n<figcaption>${escaped(caption)}</figcaption>\n</figure>`;
}

function table(row: ReportRow): string {
  const { titles, lines, unavailable } = tableOf(row);
  const head = `<section class="row" id="${escaped(row.id)}">\n<h3>${escaped(row.title)}</h3>\n<p class="about">${escaped(row.about)}</p>`;
  const said = paragraphs(row.notes, "note");
  const gone = row.gone?.length ? `<p class="about">In the old run only: ${escaped(row.gone.join(", "))}.</p>` : "";
  if (unavailable !== undefined)
    return `${head}${said}<p class="missing">Not measured: ${escaped(unavailable)}</p>\n</section>`;
  const cells = (texts: readonly string[]) => texts.map((text) => `<td>${escaped(text)}</td>`).join("");
  const body = lines.map(({ name, cells: numbers, unavailable, notes, change }) => {
    const side = notes.length > 0 ? `<small>${escaped(notes.join("; "))}</small>` : "";
    const rest = numbers
      ? cells(numbers)
      : `<td class="missing" colspan="${titles.length}">not measured: ${escaped(unavailable ?? "")}</td>`;
    return `<tr${change ? ` class="${change}"` : ""}><th scope="row">${escaped(name)}${side}</th>${rest}</tr>`;
  });
  const heads = titles.map((title) => `<th scope="col">${escaped(title)}</th>`).join("");
  return `${head}${said}<div class="wide"><table>
<thead><tr><th class="runs">${escaped(runsOf(row))}</th>${heads}</tr></thead>
<tbody>
${body.join("\n")}
</tbody></table></div>${gone}
</section>`;
}

function verdictList(verdicts: readonly Verdict[]): string {
  const count = (met: boolean | undefined) => verdicts.filter((verdict) => verdict.met === met).length;
  const summary = `${count(true)} met, ${count(false)} missed, ${count(undefined)} not measured`;
  const rows = verdicts.map(({ target, measured, met }) => {
    const word = met === undefined ? "not measured" : met ? "met" : "missed";
    return `<tr class="${met === false ? "slower" : ""}"><td>${word}</td><th scope="row">${escaped(target)}</th><td>${escaped(measured)}</td></tr>`;
  });
  return `<details><summary>${summary}</summary>\n<div class="wide"><table class="verdicts"><tbody>\n${rows.join("\n")}\n</tbody></table></div>\n</details>`;
}

function section(title: string, content: string): string {
  return `<section>\n<h2>${title}</h2>\n${content}\n</section>`;
}

function paragraphs(lines: readonly string[], name: string): string {
  return lines.map((line) => `<p class="${name}">${escaped(line)}</p>`).join("\n");
}

export function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

const STYLE = `
body{font:15px/1.5 system-ui,-apple-system,"Segoe UI","Liberation Sans",sans-serif;max-width:860px;margin:2rem auto;padding:0 16px;background:var(--plot-paper);color:var(--plot-ink)}
h1{font-size:1.7rem;margin:0}
h2{font-size:1.3rem;margin:2.2rem 0 .6rem;border-bottom:1px solid var(--plot-rule)}
h3{font-size:1rem;margin:1.6rem 0 .2rem}
p{margin:.3rem 0}
p.about,p.machine,figcaption{color:var(--plot-faint);font-size:.87rem}
p.note,ul.notes{border-left:3px solid var(--plot-red);padding-left:.6rem;margin:.4rem 0;font-size:.87rem}
ul.notes{list-style:none}
figure{margin:0 0 1.6rem}
svg{display:block;max-width:100%;height:auto}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:.82rem;font-variant-numeric:tabular-nums;margin:.4rem 0;width:100%}
th,td{padding:.2rem .45rem;text-align:right;border-bottom:1px solid var(--plot-rule);vertical-align:top}
thead th{color:var(--plot-faint);font-weight:normal;vertical-align:bottom}
th[scope=row],th.runs,td.missing,.verdicts td{text-align:left;font-weight:normal}
.verdicts td:first-child{white-space:nowrap}
th small{display:block;color:var(--plot-faint)}
.missing{color:var(--plot-faint);overflow-wrap:anywhere}
tr.slower th,tr.slower small{color:var(--plot-red)}
tr.faster small{color:var(--plot-green)}
dfn{font-weight:600;font-style:normal}
summary{cursor:pointer}`;
