// Compiles the small C programs of bench/native when a row wants one: what the machine can do at best is measured by
// code that nothing stands between. Each program is compiled once per run, into the run's folder.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const compiled = new Map<string, Promise<string>>();

/** Path of the program compiled from bench/native/`name`.c. @throws Error that says why there is none, in one line */
export function compile(name: string, folder: string): Promise<string> {
  let binary = compiled.get(name);
  if (binary === undefined) {
    binary = run(name, join(folder, name));
    compiled.set(name, binary);
  }
  return binary;
}

function run(name: string, binary: string): Promise<string> {
  const source = fileURLToPath(new URL(`../../../bench/native/${name}.c`, import.meta.url));
  const arguments_ = ["-O2", "-std=gnu11", "-Wall", "-Wextra", source, "-o", binary];
  return new Promise((resolve, reject) => {
    let errors = "";
    const gcc = spawn("gcc", arguments_, { stdio: ["ignore", "ignore", "pipe"] });
    gcc.stderr.setEncoding("utf8").on("data", (text: string) => {
      errors += text;
    });
    gcc.on("error", () => reject(new Error("gcc is not there to compile it")));
    gcc.on("close", (code) => {
      if (code === 0) resolve(binary);
      else
        reject(
          new Error(`gcc cannot compile ${name}.c: ${errors.split("\n").find((line) => /error/.test(line)) ?? code}`),
        );
    });
  });
}
