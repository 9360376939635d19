// The HTML report and its pictures as a real browser shows them: nothing is fetched, nothing complains, what is drawn lies in its
// frame, texts fit and can be read, in light and dark. Of a run that is kept here (every kind of picture and of answer), of that run compared with
// itself slowed down, and of a run made now.
// Usage: node test/report/main.mjs  in a built repository, with Chromium installed. Ends with "N passed, M failed".
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Chromium, findChromium } from "./chromium.mjs";
import { look } from "./look.mjs";

const MAIN = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));
const KEPT = fileURLToPath(new URL("run.json", import.meta.url));
const WIDTH = 900;

const command = findChromium();
if (command === undefined) {
  console.error("report: there is no Chromium here (Debian: apt-get install chromium)");
  process.exit(2);
}
const work = mkdtempSync(join(tmpdir(), "carillon-report-"));
process.on("exit", () => rmSync(work, { recursive: true, force: true }));

let passed = 0;
let failed = 0;
function check(name, problems) {
  if (problems.length === 0) passed++;
  else failed++;
  console.log(`${problems.length === 0 ? "ok  " : "FAIL"}  ${name}`);
  for (const problem of problems.slice(0, 20)) console.log(`      ${problem}`);
}

function bench(...words) {
  const { status, stderr } = spawnSync(process.execPath, [MAIN, "bench", ...words], { encoding: "utf8" });
  // Vega warns on stderr of what it does not understand.
  const said = stderr.split("\n").filter((line) => line !== "" && !line.startsWith("["));
  if (status !== 0 || said.length > 0) throw new Error(`carillon bench ${words.join(" ")} (${status}): ${stderr}`);
}

const kept = JSON.parse(readFileSync(KEPT, "utf8"));
const slower = (row) => ({
  ...row,
  results: row.results.map((result) => ({
    ...result,
    ...(result.values ? { values: { ...result.values, [row.headline]: result.values[row.headline] / 2 } } : {}),
    ...(result.rounds ? { rounds: result.rounds.map((round) => round / 2) } : {}),
  })),
});
writeFileSync(join(work, "old.json"), JSON.stringify({ ...kept, rows: kept.rows.slice(1).map(slower) }));

const path = (name) => join(work, name);
bench("--from", KEPT, "--html", path("kept.html"), "--plots", path("plots"));
bench("--from", KEPT, "--compare", path("old.json"), "--html", path("compared.html"), "--json", path("compared.json"));
bench(
  "--quick",
  "--rounds",
  "1",
  "--only",
  "roundtrip-8B/apart",
  "--html",
  path("real.html"),
  "--json",
  path("real.json"),
);

const rowsOf = (name) => JSON.parse(readFileSync(name, "utf8")).rows;
/** A row of which nothing could be measured has a reason in place of a table. */
const tablesOf = (rows) => rows.filter(({ results }) => results.some(({ values }) => values)).length;
const pages = [
  { file: "kept.html", tables: tablesOf(kept.rows), pictures: readdirSync(path("plots")).length },
  { file: "compared.html", tables: tablesOf(kept.rows), pictures: readdirSync(path("plots")).length },
  { file: "real.html", tables: tablesOf(rowsOf(path("real.json"))), pictures: 1 },
];

const chromium = new Chromium(command);
const schemes = ["light", "dark"];
const size = { width: WIDTH, height: 1200 };
try {
  for (const { file, tables, pictures } of pages) {
    const url = pathToFileURL(path(file)).href;
    const { found, requests, complaints } = await chromium.look(url, { ...size, schemes, expression: `(${look})()` });
    const said = [
      ...complaints.map((complaint) => `the page complains: ${complaint}`),
      ...requests.filter((request) => request !== url).map((request) => `the page asks for ${request}`),
    ];
    for (const [i, seen] of found.entries()) {
      check(`${file}, ${schemes[i]}: ${seen.pictures} pictures, ${seen.marks} marks, ${seen.tables} tables`, [
        ...seen.problems,
        ...said,
        ...(seen.pictures === pictures ? [] : [`${pictures} pictures should be there`]),
        ...(seen.tables === tables ? [] : [`${tables} tables should be there`]),
      ]);
    }
  }
  const problems = [];
  for (const file of readdirSync(path("plots"))) {
    const url = pathToFileURL(join(path("plots"), file)).href;
    const expression = `({
      tag: document.documentElement.tagName,
      marks: document.querySelectorAll(".role-mark").length,
      paper: getComputedStyle(document.querySelector("rect")).fill,
    })`;
    const { found, complaints } = await chromium.look(url, { ...size, schemes, expression });
    for (const [i, { tag, marks, paper }] of found.entries()) {
      const bright = Number(/\d+/.exec(paper)?.[0]) > 127;
      if (tag !== "svg" || marks === 0) problems.push(`${file}: ${tag}, ${marks} marks`);
      if (bright !== (schemes[i] === "light")) problems.push(`${file}, ${schemes[i]}: its paper is ${paper}`);
    }
    problems.push(...complaints.map((complaint) => `${file}: ${complaint}`));
  }
  check("SVG files", problems);
} finally {
  await chromium.close();
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
