// Node's own options, as the launcher understands them.
import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { inheritedOptions, inspectPort, takeOption } from "../../src/launcher/node-words.js";

// Node's own list, where this version still shows it to whoever asks so.
const listing = spawnSync(
  process.execPath,
  [
    "--expose-internals",
    "--no-warnings",
    "-p",
    `const { getCLIOptionsInfo, getCLIOptions, types } = require("internal/test/binding").internalBinding("options");
     const kinds = [types.kInteger, types.kUInteger, types.kString, types.kHostPort, types.kStringList];
     JSON.stringify([...(getCLIOptionsInfo ?? getCLIOptions)().options].filter(([, each]) => kinds.includes(each.type)).map(([name]) => name))`,
  ],
  { encoding: "utf8" },
);
const valueOptions: string[] = listing.status === 0 ? JSON.parse(listing.stdout) : [];

test.skipIf(valueOptions.length === 0)("every option of this node that takes a value is known to take one", () => {
  expect(valueOptions.length).toBeGreaterThan(40);
  const unknown = valueOptions.filter((name) => takeOption([name, "value"])?.words.length !== 2);
  // A version that still grows may have got some since; that is no reason to hold up a change.
  if (/^v20\./.test(process.version)) expect(unknown).toEqual([]);
  else if (unknown.length > 0) console.warn(`not known to take a value: ${unknown.join(" ")}`);
});

test("options of one word", () => {
  for (const word of [
    "--inspect",
    "--inspect=9300",
    "--no-warnings",
    "--max-old-space-size=100",
    "-c",
    "--env-file=x",
  ]) {
    expect(takeOption([word, "app.js"])?.words).toEqual([word]);
  }
  for (const word of ["app.js", "-", "--", ""]) expect(takeOption([word, "x"])).toBeUndefined();
});

test("a launched child does not inherit what belongs to its parent's main program", () => {
  const options = [
    "--inspect=9300",
    "--title",
    "x",
    "-e",
    "code",
    "--inspect_brk",
    "--debug-port",
    "1",
    "--no-warnings",
  ];
  expect(inheritedOptions(options)).toEqual(["--title", "x", "--no-warnings"]);
  expect(inheritedOptions(["-p", "1", "-C", "y"])).toEqual(["-C", "y"]);
  expect(inheritedOptions(["--eval=code", "--input-type=module", "-r", "./a.cjs"])).toEqual(["-r", "./a.cjs"]);
});

describe("inspector ports", () => {
  test.each([
    [["--no-warnings"], "", []],
    [["--inspect"], "", ["--inspect-port=9231"]],
    [["--inspect-brk=localhost:9300"], "", ["--inspect-port=9302"]],
    [["--inspect-wait=[::1]:9300"], "", ["--inspect-port=9302"]],
    [["--inspect=0.0.0.0"], "", ["--inspect-port=9231"]],
    [["--inspect", "--inspect-port", "9400"], "", ["--inspect-port=9402"]],
    [["--inspect=0"], "", []],
    [["--inspect-port=9400"], "", []],
    // The launcher has the port that NODE_OPTIONS asks for.
    [[], "--no-warnings --inspect=9500", ["--inspect-port=9503"]],
    [["--inspect=9600"], "--inspect", ["--inspect-port=9602"]],
  ])("%j with NODE_OPTIONS %j", (options, nodeOptions, added) => {
    expect(inspectPort(options, nodeOptions, 2)).toEqual(added);
  });
});
