// Compiles the small C programs of bench/native when a row wants one: what the machine can do at best is measured by
// code that nothing stands between. Each program is compiled once per run and compiler, into the run's folder.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const compiled = new Map<string, Promise<string>>();

/**
 * Path of the program compiled from bench/native/`name`.c. @throws Error that says why there is none, in one line
 * @param compiler a command that takes gcc's options
 */
export function compile(name: string, folder: string, compiler = "gcc"): Promise<string> {
  const key = `${name}-${compiler}`;
  let binary = compiled.get(key);
  if (binary === undefined) {
    binary = run(name, join(folder, key), compiler);
    compiled.set(key, binary);
  }
  return binary;
}

function run(name: string, binary: string, compiler: string): Promise<string> {
  const source = fileURLToPath(new URL(`../../../bench/native/${name}.c`, import.meta.url));
  const arguments_ = ["-O2", "-std=gnu11", "-Wall", "-Wextra", source, "-o", binary];
  return new Promise((resolve, reject) => {
    let errors = "";
    const child = spawn(compiler, arguments_, { stdio: ["ignore", "ignore", "pipe"] });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      errors += text;
    });
    child.on("error", () => reject(new Error(`${compiler} is not there to compile it: install it`)));
    child.on("close", (code) => {
      const first = errors.split("\n").find((line) => /error/.test(line));
      if (code === 0) resolve(binary);
      else reject(new Error(`${compiler} cannot compile ${name}.c: ${first ?? code}`));
    });
  });
}
