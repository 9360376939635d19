// The command line of the example: what can be asked, and clear words about what cannot.
import { accessSync, constants, statSync } from "node:fs";
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import type { Size } from "./terrain.js";

/** A mistake of the user's: to be told in one line, without a stack. */
export class UsageError extends Error {}

export interface Options {
  readonly size: Size;
  readonly steps: number;
  readonly out: string;
  readonly check: boolean;
}

export const USAGE = `usage: carillon run -n RANKS dist/examples/hillslope/main.js [options]
  --size WxH     points of the refined grid (1463x1021: 17 points for each of the original)
  --steps N      explicit time steps (2000)
  --out FILE     the before/after picture (hillslope.png)
  --no-check     do not compare with a serial run`;

/** Each way at most this many points, and this many in all: 800 MB a generation. */
const MOST = 100_000;
const MOST_POINTS = 1e8;

/** @throws UsageError */
export function parseOptions(args: string[]): Options {
  const { size, steps, out, check } = parse(args);
  const match = /^(\d+)x(\d+)$/i.exec(size);
  const width = Number(match?.[1]);
  const height = Number(match?.[2]);
  if (!(width >= 2 && height >= 2 && width <= MOST && height <= MOST && width * height <= MOST_POINTS)) {
    throw new UsageError(
      `--size takes WIDTHxHEIGHT, each from 2 to ${MOST}, at most ${MOST_POINTS} points in all; not "${size}"`,
    );
  }
  if (!/^\d{1,9}$/.test(steps) || Number(steps) < 1) {
    throw new UsageError(`--steps takes a whole number from 1 on; not "${steps}"`);
  }
  checkWritable(out);
  return { size: { width, height }, steps: Number(steps), out, check };
}

/** A picture that cannot be written is better known before the computation than after it. */
function checkWritable(out: string): void {
  try {
    accessSync(dirname(out), constants.W_OK);
  } catch (error) {
    throw new UsageError(`--out: cannot write into the folder of "${out}" (${(error as NodeJS.ErrnoException).code})`);
  }
  if (statSync(out, { throwIfNoEntry: false })?.isDirectory()) throw new UsageError(`--out: "${out}" is a folder`);
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowNegative: true,
      options: {
        size: { type: "string", default: "1463x1021" },
        steps: { type: "string", default: "2000" },
        out: { type: "string", default: "hillslope.png" },
        check: { type: "boolean", default: true },
      },
    }).values;
  } catch (error) {
    throw new UsageError(`${(error as Error).message}\n${USAGE}`);
  }
}
