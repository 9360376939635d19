// What a rank finds in its environment: who it is, where the others are met, and whether colours are welcome.
// Not responsible for reading it (src/world.ts does).
import type { Writable } from "node:stream";
import type { WriteStream } from "node:tty";

export interface RankIdentity {
  readonly rank: number;
  readonly size: number;
  /** The hub's address. */
  readonly address: string;
  /** Settings that it finds as variables: CARILLON_WAIT, … */
  readonly settings?: Readonly<Record<string, string>>;
  /** Where its events go, if a timeline is recorded. */
  readonly traceBuffer?: string | undefined;
}

export function rankEnvironment(identity: RankIdentity, base: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return {
    ...base,
    ...identity.settings,
    CARILLON_RANK: String(identity.rank),
    CARILLON_SIZE: String(identity.size),
    CARILLON_JOB: identity.address,
    CARILLON_TRACE_BUFFER: identity.traceBuffer,
  };
}

/** A rank writes into a pipe; where that pipe ends in a terminal with colours, it should use them all the same. */
export function colourEnvironment(
  stdout: Writable & { readonly isTTY?: boolean },
  base: NodeJS.ProcessEnv,
): NodeJS.ProcessEnv {
  if (!stdout.isTTY || "NO_COLOR" in base || "NODE_DISABLE_COLORS" in base || "FORCE_COLOR" in base) return {};
  const depth = (stdout as WriteStream).getColorDepth(base);
  return depth < 4 ? {} : { FORCE_COLOR: depth >= 24 ? "3" : depth >= 8 ? "2" : "1" };
}
