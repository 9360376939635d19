// Reads the JSON of an earlier run. Responsible for saying what is wrong with a file that is none.
import { readFileSync } from "node:fs";
import { FORMAT, FORMAT_VERSION, type Report } from "../harness/report.js";

/** What both versions of the format have: enough to compare with, not to draw. */
export type OldReport = Pick<Report, "carillon" | "startedAt" | "quick" | "rounds" | "machine" | "rows">;

/** @throws Error that says why this cannot be compared with */
export function readOld(file: string): OldReport {
  return read(file, 1) as OldReport;
}

/** @throws Error that says why this cannot be shown */
export function readReport(file: string): Report {
  return read(file, FORMAT_VERSION) as Report;
}

function read(file: string, oldest: number): unknown {
  let found: unknown;
  try {
    found = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new Error(`${file} cannot be read: ${(error as Error).message}`);
  }
  const { format, formatVersion: version } = (found ?? {}) as Partial<Report>;
  if (format !== FORMAT)
    throw new Error(`${file} is not what carillon bench --json writes: it has no "format": "${FORMAT}"`);
  if (!Number.isInteger(version) || (version as number) < oldest || (version as number) > FORMAT_VERSION) {
    const readable = oldest === FORMAT_VERSION ? `${oldest}` : `${oldest} to ${FORMAT_VERSION}`;
    throw new Error(`${file} has format version ${JSON.stringify(version)}; this Carillon reads ${readable}`);
  }
  const missing = problem(found as Record<string, unknown>);
  if (missing !== undefined) throw new Error(`${file} is damaged: ${missing}`);
  return found;
}

/** Only what everything relies on: a file that a program of ours wrote, perhaps cut off, not an enemy's. */
function problem(report: Record<string, unknown>): string | undefined {
  for (const key of ["carillon", "startedAt"]) if (typeof report[key] !== "string") return `"${key}" is no text`;
  if (typeof report.machine !== "object" || report.machine === null) return '"machine" is missing';
  const { rows } = report;
  if (!Array.isArray(rows)) return '"rows" is no list';
  const bad = rows.findIndex((row) => typeof row?.id !== "string" || !Array.isArray(row.results));
  if (bad >= 0) return `"rows"[${bad}] has no id or no results`;
  if (report.formatVersion === 1) return undefined;
  const bare = rows.find((row) => !Array.isArray(row.columns) || !Array.isArray(row.notes));
  if (bare !== undefined) return `row ${bare.id} has no columns or no notes`;
  return Array.isArray(report.verdicts) && Array.isArray(report.leftOut)
    ? undefined
    : '"verdicts" or "leftOut" is missing';
}
