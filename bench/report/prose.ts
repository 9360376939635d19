// What is said of a run as a whole, on the terminal and in HTML: what it is, what it left out, what it is compared with.

import { ratio } from "../harness/format.js";
import type { Report } from "../harness/report.js";
import { changes, SIGNIFICANCE } from "./compare.js";

/** Changes shown in the summary; the rest is in the tables. */
const MOST_CHANGES = 20;

export function introduction(report: Pick<Report, "carillon" | "rounds" | "quick" | "startedAt">): string {
  const { carillon, rounds, quick, startedAt } = report;
  const when = startedAt.slice(0, 16).replace("T", " ");
  return `carillon ${carillon} bench, ${when} UTC: ${rounds} round${rounds === 1 ? "" : "s"}${quick ? ", quick" : ""}, peers in turn`;
}

export function conditionsOf({ leftOut, interrupted, rows }: Report): string[] {
  const why = interrupted ? "Interrupted before" : "Left out, for a quick run ends within a minute";
  const disturbed = rows.filter(({ notes }) => notes.length > 0).length;
  return [
    ...(leftOut.length > 0 ? [`${why}: ${leftOut.join(", ")}`] : []),
    ...(disturbed > 0
      ? [`${disturbed} of ${rows.length} tables have a note on what their figures suffered from.`]
      : []),
  ];
}

/** What else has changed is said before anything is compared. */
export function comparisonHead({ comparedWith }: Pick<Report, "comparedWith">): string[] {
  if (comparedWith === undefined) return [];
  const { carillon, startedAt, differences } = comparedWith;
  return [
    `Compared with carillon ${carillon}, ${startedAt.slice(0, 16).replace("T", " ")} UTC: medians then and now.`,
    ...(differences.length > 0
      ? [`Not the same as then, so that changes need not be Carillon's: ${differences.join("; ")}`]
      : []),
  ];
}

export function comparisonLines(report: Report): string[] {
  const { comparedWith, rows } = report;
  if (comparedWith === undefined) return [];
  const { rowsGone, rowsNew } = comparedWith;
  const all = rows.flatMap(({ results }) => results.flatMap(({ before }) => before ?? []));
  const tested = all.filter(({ p }) => p !== undefined).length;
  const told = changes(rows);
  const shown = told
    .toSorted((a, b) => Math.abs(Math.log(b.before.ratio ?? 1)) - Math.abs(Math.log(a.before.ratio ?? 1)))
    .slice(0, MOST_CHANGES)
    .map(
      ({ row, result, before }) => `${ratio(before.ratio ?? Number.NaN)} ${before.change}: ${result.name}, ${row.id}`,
    );
  return [
    ...comparisonHead(report),
    `${told.length} of ${tested} figures differ beyond what their rounds scatter (Mann-Whitney rank test of the rounds, p ≤ ${SIGNIFICANCE}: one in ${Math.round(1 / SIGNIFICANCE)} of those that did not change is expected, too).`,
    ...shown,
    ...(told.length > shown.length ? [`… and ${told.length - shown.length} more, in the tables`] : []),
    ...(rowsGone.length > 0 ? [`In the old run only: ${rowsGone.join(", ")}`] : []),
    ...(rowsNew.length > 0 ? [`Not in the old run: ${rowsNew.join(", ")}`] : []),
  ];
}
