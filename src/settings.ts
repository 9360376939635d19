// What a program or its environment chooses when it joins: how loops wait, and the thresholds of the protocols.
// Responsible for defaults, environment variables and checks; not for what the engine makes of them.
import { CarillonError } from "./errors.js";

/** How an event loop waits: look at the rings for up to 50 µs before it blocks, where that pays, or block at once. */
export type Wait = "adaptive" | "block";

/**
 * How a body above `eagerBytes` travels: "read" by one copy out of the sender's memory (process_vm_readv), "ring" in
 * packets through the ring, "auto" by reading unless the kernel forbids that.
 */
export type Rendezvous = "auto" | "read" | "ring";

/**
 * How other ranks make this one look: "eventfd" wakes a thread that sleeps; "signal" and "uintr" also interrupt one that runs, and the handler
 * makes the progress; "poll" never sleeps and "futex" has a thread of its own, to compare. "auto": the best that works here (docs/doorbells.md).
 */
export type Doorbell = "auto" | "poll" | "eventfd" | "futex" | "signal" | "uintr" | "uintr-simulated";

/** Where the handler of an interrupt doorbell runs: on the thread that computes in JavaScript, or on the progress thread. */
export type Interrupts = "javascript" | "progress";

/**
 * What a rank chooses when it joins. An option goes before its environment variable, and that before the default. A value that is none
 * rejects with ERR_CARILLON_INVALID_ARGUMENT, or ERR_CARILLON_ENVIRONMENT where the variable has it.
 */
export interface Settings {
  /** Default "adaptive". Of this thread. Environment: CARILLON_WAIT (`carillon run --wait`). */
  wait?: Wait;
  /**
   * How many bytes of messages that nobody has received yet this process holds, 1 MiB to 16 GiB; default 64 MiB. What
   * does not fit waits at its sender. Envelopes are bounded apart: 65,536. Environment: CARILLON_MAX_UNEXPECTED_BYTES.
   */
  maxUnexpectedBytes?: number;
  /**
   * The largest body that is sent at once, without waiting for its receive, 0 to 16,000 bytes; default 16,000 (measured:
   * docs/architecture.md). Environment: CARILLON_EAGER_BYTES.
   */
  eagerBytes?: number;
  /** Default "auto". Environment: CARILLON_RENDEZVOUS. */
  rendezvous?: Rendezvous;
  /** Default "auto". Environment: CARILLON_DOORBELL (`carillon run --doorbell`). Ranks may differ. */
  doorbell?: Doorbell;
  /** Default "javascript". Environment: CARILLON_INTERRUPTS. */
  interrupts?: Interrupts;
  /**
   * Errors of requests that were rejected later say where they were posted: their `stack` goes on, after a line "(posted here)", with the frames of
   * who called. Default false, which costs nothing; true, a few microseconds for each request that does not complete at once. Of this
   * thread. Environment: CARILLON_STACKS, 0 or 1.
   */
  stacks?: boolean;
}

const VARIABLES = {
  wait: "CARILLON_WAIT",
  maxUnexpectedBytes: "CARILLON_MAX_UNEXPECTED_BYTES",
  eagerBytes: "CARILLON_EAGER_BYTES",
  rendezvous: "CARILLON_RENDEZVOUS",
  doorbell: "CARILLON_DOORBELL",
  interrupts: "CARILLON_INTERRUPTS",
  stacks: "CARILLON_STACKS",
} as const;

export const DOORBELLS = ["auto", "poll", "eventfd", "futex", "signal", "uintr", "uintr-simulated"] as const;

/**
 * Every setting, from the options, else the environment, else the default. `caller` begins messages about options.
 * @throws CarillonError ERR_CARILLON_INVALID_ARGUMENT for an option, ERR_CARILLON_ENVIRONMENT for a variable
 */
export function settingsFrom(options: Settings, caller = ""): Required<Settings> {
  return {
    wait: word(options, caller, "wait", ["adaptive", "block"]),
    maxUnexpectedBytes: bytes(options, caller, "maxUnexpectedBytes", 2 ** 20, 2 ** 34, 2 ** 26),
    eagerBytes: bytes(options, caller, "eagerBytes", 0, 16_000, 16_000),
    rendezvous: word(options, caller, "rendezvous", ["auto", "read", "ring"]),
    doorbell: word(options, caller, "doorbell", DOORBELLS),
    interrupts: word(options, caller, "interrupts", ["javascript", "progress"]),
    stacks: flag(options, caller, "stacks"),
  };
}

/** The variables that tell another process what these options chose. */
export function environmentOf(options: Settings): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const name of Object.keys(VARIABLES) as (keyof Settings)[]) {
    const value = options[name];
    if (value !== undefined)
      variables[VARIABLES[name]] = typeof value === "boolean" ? (value ? "1" : "0") : String(value);
  }
  return variables;
}

/** The settings among other options. */
export function settingsAmong(options: Settings): Settings {
  const { wait, maxUnexpectedBytes, eagerBytes, rendezvous, doorbell, interrupts, stacks } = options;
  return {
    ...(wait !== undefined && { wait }),
    ...(maxUnexpectedBytes !== undefined && { maxUnexpectedBytes }),
    ...(eagerBytes !== undefined && { eagerBytes }),
    ...(rendezvous !== undefined && { rendezvous }),
    ...(doorbell !== undefined && { doorbell }),
    ...(interrupts !== undefined && { interrupts }),
    ...(stacks !== undefined && { stacks }),
  };
}

function word<const K extends "wait" | "rendezvous" | "doorbell" | "interrupts", W extends string>(
  options: Settings,
  caller: string,
  name: K,
  words: readonly [W, ...W[]],
): W {
  const asked = options[name] ?? process.env[VARIABLES[name]] ?? words[0];
  if ((words as readonly unknown[]).includes(asked)) return asked as unknown as W;
  const choice = words.map((each) => `"${each}"`).join(" or ");
  throw wrong(options, caller, name, choice, JSON.stringify(asked));
}

function flag(options: Settings, caller: string, name: "stacks"): boolean {
  const asked = options[name];
  if (typeof asked === "boolean") return asked;
  if (asked !== undefined) throw wrong(options, caller, name, "true or false", JSON.stringify(asked));
  const variable = process.env[VARIABLES[name]] ?? "0";
  if (variable === "0" || variable === "1") return variable === "1";
  throw wrong(options, caller, name, "0 or 1", JSON.stringify(variable));
}

function bytes(
  options: Settings,
  caller: string,
  name: "maxUnexpectedBytes" | "eagerBytes",
  least: number,
  most: number,
  normal: number,
): number {
  const variable = process.env[VARIABLES[name]];
  const asked = options[name] ?? (variable === undefined ? normal : /^\d{1,15}$/.test(variable) ? +variable : variable);
  if (Number.isInteger(asked) && (asked as number) >= least && (asked as number) <= most) return asked as number;
  const shown = typeof asked === "string" ? JSON.stringify(asked) : String(asked);
  throw wrong(options, caller, name, `a whole number of bytes from ${least} to ${most}`, shown);
}

function wrong(
  options: Settings,
  caller: string,
  name: keyof typeof VARIABLES,
  asked: string,
  found: string,
): CarillonError {
  return options[name] === undefined
    ? new CarillonError("ERR_CARILLON_ENVIRONMENT", `${VARIABLES[name]} must be ${asked}, not ${found}`)
    : new CarillonError("ERR_CARILLON_INVALID_ARGUMENT", `${caller}${name} must be ${asked}, not ${found}`);
}
