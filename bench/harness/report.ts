// A run as JSON: everything that was printed and the rounds behind it, so that runs can be compared later.
import { readFileSync } from "node:fs";
import type { Machine } from "./machine.js";
import type { Answered } from "./row.js";
import { ratioOf, reference } from "./table.js";
import type { Verdict } from "./verdict.js";

export interface Run {
  readonly startedAt: string;
  readonly durationSeconds: number;
  readonly quick: boolean;
  readonly rounds: number;
  readonly machine: Machine;
}

export function report(run: Run, answers: readonly Answered[], verdicts: readonly Verdict[]): string {
  const json = {
    format: "carillon-bench",
    formatVersion: 1,
    carillon: carillonVersion(),
    ...run,
    rows: answers.map((answered) => ({
      id: answered.row.id,
      title: answered.row.title,
      about: answered.row.about,
      placement: answered.row.placement,
      figure: answered.row.figure,
      headline: answered.row.headline,
      reference: reference(answered)?.peer,
      results: answered.results.map((result) => ({ ...result, ratio: ratioOf(answered, result) })),
    })),
    verdicts,
  };
  return `${JSON.stringify(json, null, 1)}\n`;
}

export function carillonVersion(): string {
  return JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")).version;
}
