// `carillon info`, and the command's own manners: help, version, unknown words.
import { readFileSync } from "node:fs";
import { expect, test, vi } from "vitest";
import { carillon, MAIN, start } from "./fixtures/carillon.js";

vi.setConfig({ testTimeout: 60_000 });

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));

function ask(...words: string[]) {
  return carillon(words, { input: "" }).ended;
}

test("info shows the machine, and every doorbell and driver with its reason", async () => {
  const { code, stdout, stderr } = await ask("info");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toContain(`Carillon  ${version}\nNode      ${process.version}, Node-API `);
  expect(stdout).toMatch(/^CPU {7}\S.*, \d+ CPUs?/m);
  expect(stdout).toMatch(/^Kernel {4}Linux \d/m);
  expect(stdout).toMatch(/^Doorbells\n( {2}\S+ +(yes|no ) {2}\S.*\n)+\nDrivers\n( {2}\S+ +(yes|no ) {2}\S.*\n)+$/m);
});

test("info --json says the same to programs", async () => {
  const { code, stdout } = await ask("info", "--json");
  expect(code).toBe(0);
  const found = JSON.parse(stdout);
  expect(found).toMatchObject({ carillon: version, node: process.version, arch: process.arch, problem: null });
  for (const each of [...found.doorbells, ...found.drivers]) {
    expect(each).toEqual({
      name: expect.any(String),
      available: expect.any(Boolean),
      detail: expect.stringMatching(/./),
    });
  }
});

test("info says why the addon cannot be loaded", async () => {
  const { code, stdout } = await start(process.execPath, ["--no-addons", MAIN, "info"], { input: "" }).ended;
  expect(code).toBe(1);
  expect(stdout).toMatch(/Carillon cannot work here: .* \[ERR_CARILLON_NATIVE_MISSING\]\n$/);
});

test("help and version", async () => {
  for (const words of [[], ["--help"], ["-h"]]) {
    const { code, stdout } = await ask(...words);
    expect(code).toBe(0);
    expect(stdout).toMatch(/Commands:\n {2}run .*\n {2}info /);
  }
  expect((await ask("--version")).stdout).toContain(`carillon/${version} `);
  expect((await ask("info", "--help")).stdout).toContain("--json");
});

test("unknown words are refused", async () => {
  expect(await ask("ring")).toMatchObject({
    code: 2,
    stderr: "carillon: there is no command ring\nSee carillon --help\n",
  });
  const { code, stderr } = await ask("info", "--loud");
  expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining("`--loud`") });
});
