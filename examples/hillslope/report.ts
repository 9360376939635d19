// The report: what was computed, what was sent and what that cost, in words for a terminal. Measures nothing itself.
import { availableParallelism } from "node:os";
import { count, rows, seconds, several } from "../common/report.js";
import type { ExchangeTime, Times } from "./halo.js";
import type { Size } from "./terrain.js";

/** What each rank tells about its part. */
export interface RankReport {
  /** Milliseconds that all steps took. */
  readonly elapsed: number;
  readonly messages: number;
  readonly bytes: number;
  /** The exchanges of the steps that computed meanwhile. */
  readonly overlapped: Times;
  /** Those of the steps that waited first, to compare with. */
  readonly unhidden: Times;
}

export interface Run {
  readonly size: Size;
  readonly spacing: { dx: number; dy: number };
  readonly diffusivity: number;
  readonly years: number;
  readonly steps: number;
  readonly ranks: readonly RankReport[];
  /** Messages and bytes that brought the result and these reports together. */
  readonly gathered: { messages: number; bytes: number };
  /** Milliseconds of the serial run and whether its result was the same bit for bit, if it was made. */
  readonly serial?: { elapsed: number; identical: boolean };
  readonly picture: string;
}

export function formatReport(run: Run): string {
  const { size, spacing, ranks } = run;
  const elapsed = Math.max(...ranks.map((rank) => rank.elapsed));
  const messages = sum(ranks.map((rank) => rank.messages)) + run.gathered.messages;
  const bytes = sum(ranks.map((rank) => rank.bytes)) + run.gathered.bytes;
  const cores = availableParallelism();
  return [
    "",
    "Hillslope diffusion of Maunga Whau",
    ...rows("grid", `${size.width} × ${size.height} points, ${metres(spacing)} m apart`),
    ...rows("model", `dz/dt = D ∇²z, D = ${run.diffusivity} m²/yr`),
    ...rows("steps", `${count(run.steps)} of ${run.years.toFixed(2)} years: ${count(run.steps * run.years)} years`),
    ...rows(
      "ranks",
      `${ranks.length} on ${several(cores, "core")}`,
      ...(ranks.length > cores ? ["oversubscribed: ranks take turns, and times include waiting for a turn"] : []),
    ),
    ...rows("elapsed", seconds(elapsed) + compared(elapsed, run.serial)),
    ...rows(
      "messages",
      `${count(messages)} sent, ${(bytes / 1e6).toFixed(1)} MB` +
        (ranks.length > 1 ? ` (${count(2 * (ranks.length - 1) * run.steps)} of them in the steps)` : ""),
    ),
    ...(ranks.length > 1 ? communication(ranks) : rows("an exchange", "none: one rank has no neighbours")),
    ...rows("check", verdict(run.serial)),
    ...rows("picture", `${run.picture}, before and after`),
    "",
  ].join("\n");
}

function communication(ranks: readonly RankReport[]): string[] {
  const steps = join(ranks.map((rank) => rank.overlapped));
  const unhidden = join(ranks.map((rank) => rank.unhidden));
  const elapsed = sum(ranks.map((rank) => rank.elapsed));
  const late = (sum(steps.late) + sum(unhidden.late)) / elapsed;
  const exposed = (sum(exposure(steps)) + sum(exposure(unhidden))) / elapsed;
  const alone = median(exposure(unhidden));
  const share = hidden(steps, unhidden);
  return [
    ...rows(
      "an exchange",
      `${time(median(steps.total))} from posting to both halos here, inner points computed meanwhile;`,
      `of that ${time(median(steps.calls))} in calls and ${time(median(steps.waited))} awaited after the inner points`,
      `(medians of ${count(steps.total.length)}); ${time(alone)} in steps that wait before they compute (median of ${count(unhidden.total.length)})`,
    ),
    ...rows(
      "hidden",
      share > 0
        ? `${percent(share)} of communication behind computation`
        : "nothing: communication cost as much as in steps that wait before they compute, or more",
      "= 1 − (calls + waiting for rows already sent) ÷ (the same in steps that wait before they compute), medians",
    ),
    ...rows(
      "time went",
      `${percent(1 - late - exposed)} computing, ${percent(exposed)} in calls and waiting for rows already sent, ` +
        `${percent(late)} waiting for neighbours who still computed`,
    ),
  ];
}

/**
 * The part of communication that computation hid, 0 to 1. An exchange costs a rank the time in its calls and the time it
 * waits for rows that are on their way. Waiting for a neighbour who has not sent yet is not communication but uneven
 * work (or too few cores), in both kinds of steps alike. The calls cannot be hidden: this is below 1 even when no row was
 * ever waited for.
 */
export function hidden(steps: Times, unhidden: Times): number {
  const alone = median(exposure(unhidden));
  if (!(alone > 0)) return 0;
  return Math.min(Math.max(1 - median(exposure(steps)) / alone, 0), 1);
}

/** What each exchange cost its rank. */
function exposure({ calls, waited, late }: Times): number[] {
  return calls.map((time, i) => time + (waited[i] as number) - (late[i] as number));
}

function join(times: readonly Times[]): Times {
  const all = (column: keyof ExchangeTime) => times.flatMap((each) => each[column]);
  return { calls: all("calls"), total: all("total"), waited: all("waited"), late: all("late") };
}

function compared(elapsed: number, serial: Run["serial"]): string {
  if (serial === undefined) return "";
  const ratio = serial.elapsed / elapsed;
  return `; serial ${seconds(serial.elapsed)}, ${ratio.toFixed(2)} times as long`;
}

function verdict(serial: Run["serial"]): string {
  if (serial === undefined) return "not made (--no-check)";
  return serial.identical ? "identical to a serial run, bit for bit" : "DIFFERENT from a serial run";
}

function median(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN;
  const sorted = Float64Array.from(values).sort();
  return ((sorted[(sorted.length - 1) >> 1] as number) + (sorted[sorted.length >> 1] as number)) / 2;
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
const percent = (share: number) => `${Math.round(100 * share)} %`;
const time = (milliseconds: number) =>
  milliseconds < 1 ? `${(milliseconds * 1e3).toFixed(0)} µs` : `${milliseconds.toFixed(2)} ms`;
const metres = ({ dx, dy }: { dx: number; dy: number }) =>
  dx.toFixed(3) === dy.toFixed(3) ? dx.toFixed(3) : `${dx.toFixed(3)} × ${dy.toFixed(3)}`;
