// `carillon selftest`: what it says of doorbells that work and of those that do not, and that its checks can fail.
import { pathToFileURL } from "node:url";
import { describe, expect, test, vi } from "vitest";
import { native } from "../../dist/src/native.js";
import { thorough } from "../support/thorough.js";
import { carillon, fixture } from "./fixtures/carillon.js";

vi.setConfig({ testTimeout: 120_000 });

const CHECKS = ["join", "order", "eager", "rendezvous", "busy receiver", "blocked receiver", "interrupts"];
const doorbells = native().doorbells();
const signal = doorbells.some(({ name, available }) => name === "signal" && available);
const [unavailable] = doorbells.filter((each) => !each.available);

function selftest(words: string[], env: NodeJS.ProcessEnv = {}) {
  return carillon(["selftest", ...words], { input: "", env: { CARILLON_INTERRUPTS: undefined, ...env } }).ended;
}

/** Of the eventfd, which is everywhere, unless said otherwise; in the processes something is broken on purpose. */
async function sabotaged(what: string, doorbell = "eventfd") {
  const options = `--import=${pathToFileURL(fixture("sabotage.mjs"))}`;
  const { code, stdout, stderr } = await selftest(["--doorbell", doorbell], { NODE_OPTIONS: options, SABOTAGE: what });
  expect(code, stdout + stderr).toBe(1);
  const lines = stdout.trimEnd().split("\n").slice(1);
  const words = lines.slice(0, -1).map((line) => line.slice(0, 4).trim());
  return { lines, failed: CHECKS[words.indexOf("FAIL")], line: lines[words.indexOf("FAIL")], words };
}

thorough("every doorbell is tried, and those that do not work say why", async () => {
  const { code, stdout, stderr } = await selftest([]);
  expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: "" });
  const lines = stdout.trimEnd().split("\n");
  expect(lines.shift()).toMatch(/^Carillon \d\S+, Node v\d\S+, Linux \d.*: two ranks, one line a check$/);
  const width = Math.max(...doorbells.map(({ name }) => name.length));
  for (const { name, available, detail } of doorbells) {
    const label = name.padEnd(width);
    if (!available) expect(lines.shift()).toBe(`no    ${label}  ${detail}`);
    else for (const check of CHECKS) expect(lines.shift()).toContain(`ok    ${label}  ${check}: `);
  }
  if (signal)
    expect(stdout).toMatch(/ signal +interrupts: .*: 1,\d{3} interrupts \([\d,]+ handler runs .*on the main thread/);
  expect(lines).toEqual([`${CHECKS.length * doorbells.filter((each) => each.available).length} checks passed`]);
});

test.runIf(signal)(
  "--doorbell tries one; --json says the same to programs, and which thread was interrupted",
  async () => {
    const { code, stdout } = await selftest(["--doorbell=signal", "--json"], { CARILLON_INTERRUPTS: "progress" });
    const found = JSON.parse(stdout);
    expect({ code, ok: found.ok }, stdout).toEqual({ code: 0, ok: true });
    expect(found.doorbells).toHaveLength(1);
    const [{ name, available, checks }] = found.doorbells;
    expect({ name, available }).toEqual({ name: "signal", available: true });
    expect(checks.map(({ check }: { check: string }) => check)).toEqual(CHECKS);
    expect(checks.at(-1).detail).toMatch(/: 1,\d{3} interrupts \([\d,]+ handler runs on another thread\)$/);
  },
);

test.runIf(unavailable)("one that does not work here is a failure when it was asked for", async () => {
  const { name, detail } = unavailable as { name: string; detail: string };
  const { code, stdout } = await selftest(["--doorbell", name]);
  expect(code).toBe(1);
  expect(stdout).toContain(`no    ${name}  ${detail}\n0 of 0 checks passed\n`);
  const json = await selftest(["--doorbell", name, "--json"]);
  expect(json.code).toBe(1);
  expect(JSON.parse(json.stdout)).toMatchObject({
    ok: false,
    doorbells: [{ name, available: false, detail, checks: [] }],
  });
});

test("help, and what cannot be meant", async () => {
  const help = await selftest(["--help"]);
  expect(help.code).toBe(0);
  for (const word of ["--doorbell <kind>", "--json", "eventfd"]) expect(help.stdout).toContain(word);
  const { code, stderr } = await selftest(["--doorbell", "gong"]);
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: expect.stringMatching(/^carillon: --doorbell takes auto, .*"gong"\nSee carillon selftest --help\n$/),
  });
});

describe("a check fails", () => {
  test("when one byte of an eager message is another", async () => {
    const { failed, line, words } = await sabotaged("a byte");
    expect(failed).toBe("eager");
    expect(line).toMatch(/^FAIL {2}eventfd {2}eager: rank \d: .*not what was sent/);
    expect(words).toEqual(["ok", "ok", "FAIL", "", "", "", ""]);
  });

  test("when a message is overtaken", async () => {
    const { failed, line } = await sabotaged("order");
    expect({ failed, line }).toEqual({ failed: "order", line: expect.stringMatching(/order: rank 1: message \d+: /) });
  });

  test("when a rank dies, and says so", async () => {
    const { failed, line, lines } = await sabotaged("death", "auto");
    expect(failed).toBe("busy receiver");
    expect(line).toMatch(/rank 1 /);
    expect(lines[0]).toMatch(/^ok {4}auto {2}join: two ranks, rung by (eventfd|uintr)$/);
  });

  test("when nothing more is heard", async () => {
    const { failed, line, lines } = await sabotaged("silence");
    expect({ failed, line }).toEqual({ failed: "join", line: "FAIL  eventfd  join: silent for 60 s" });
    expect(lines.slice(1)).toEqual([
      ...CHECKS.slice(1).map((each) => `      eventfd  ${each}: not tried`),
      "0 of 7 checks passed",
    ]);
  });
});
