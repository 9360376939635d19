// `carillon info`: what this machine has, which doorbells and drivers work on it, and why not the others.
// Only tells what native code says of itself.
import { createRequire } from "node:module";
import { availableParallelism, cpus, release, type as systemName } from "node:os";
import { type Availability, type NativeBinding, native } from "../native.js";

export interface Info {
  readonly carillon: string;
  readonly node: string;
  readonly napi: string;
  readonly arch: string;
  readonly cpu: { readonly model: string; readonly count: number; readonly usable: number };
  readonly kernel: string;
  /** Why nothing works here, if the addon cannot be loaded. */
  readonly problem: { readonly code: string; readonly message: string } | null;
  readonly doorbells: readonly Availability[];
  readonly drivers: readonly Availability[];
}

/** @returns the exit code: 1 if Carillon cannot work here */
export function info(json: boolean): number {
  const found = collect();
  process.stdout.write(json ? `${JSON.stringify(found, null, 2)}\n` : text(found));
  return found.problem ? 1 : 0;
}

export function version(): string {
  return (createRequire(import.meta.url)("../../../package.json") as { version: string }).version;
}

function collect(): Info {
  const { binding, problem } = load();
  const processors = cpus();
  return {
    carillon: version(),
    node: process.version,
    napi: process.versions.napi ?? "",
    arch: process.arch,
    cpu: {
      model: processors[0]?.model.trim().replace(/\s+/g, " ") || "unknown",
      count: processors.length,
      usable: availableParallelism(),
    },
    kernel: `${systemName()} ${release()}`,
    problem,
    doorbells: binding?.doorbells() ?? [],
    drivers: binding?.drivers() ?? [],
  };
}

function load(): { binding: NativeBinding | null; problem: Info["problem"] } {
  try {
    return { binding: native(), problem: null };
  } catch (error) {
    const { code = "", message } = error as NodeJS.ErrnoException;
    return { binding: null, problem: { code, message } };
  }
}

function text(found: Info): string {
  const { count, usable, model } = found.cpu;
  const lines = [
    `Carillon  ${found.carillon}`,
    `Node      ${found.node}, Node-API ${found.napi}, ${found.arch}`,
    `CPU       ${model}, ${plural(count, "CPU")}${usable === count ? "" : `, ${usable} usable`}`,
    `Kernel    ${found.kernel}`,
    "",
  ];
  if (found.problem) {
    lines.push(`Carillon cannot work here: ${found.problem.message} [${found.problem.code}]`);
  } else {
    const width = Math.max(...[...found.doorbells, ...found.drivers].map((each) => each.name.length));
    lines.push("Doorbells", ...found.doorbells.map((each) => row(each, width)));
    lines.push("", "Drivers", ...found.drivers.map((each) => row(each, width)));
  }
  return `${lines.join("\n")}\n`;
}

function row({ name, available, detail }: Availability, width: number): string {
  return `  ${name.padEnd(width)}  ${available ? "yes" : "no "}  ${detail}`.trimEnd();
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
