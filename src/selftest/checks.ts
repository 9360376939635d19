// What `carillon selftest` checks, in this order, for each doorbell. Known to the command and to its ranks.

export const CHECKS = [
  "join",
  "order",
  "eager",
  "rendezvous",
  "busy receiver",
  "blocked receiver",
  "interrupts",
] as const;

export type Check = (typeof CHECKS)[number];

/** Doorbells that interrupt a thread that runs. */
export const INTERRUPTING: readonly string[] = ["signal", "uintr", "uintr-simulated"];

/** What a rank says on its stdout: a line of JSON. */
export interface Verdict {
  readonly check: Check;
  readonly ok: boolean;
  readonly detail: string;
}
