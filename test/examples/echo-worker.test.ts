// Workers that never join, as a user runs them: every block comes back with its echo, whoever of the workers took it.
import { describe, expect, it } from "vitest";
import { UsageError } from "../../examples/common/command-line.js";
import { addEcho, tone } from "../../examples/echo-worker/echo.js";
import { parseOptions } from "../../examples/echo-worker/options.js";
import { run } from "../cli/fixtures/carillon.js";
import { EXAMPLES, killedAtWork } from "./example.js";

const EXAMPLE = `${EXAMPLES}/echo-worker/main.js`;

describe("the echo", () => {
  it("comes back after 1,200 samples, half as loud, and so on", () => {
    const sound = new Float32Array(4000);
    sound[3] = 1;
    addEcho(sound);
    expect([sound[3], sound[1203], sound[2403], sound[3603]]).toEqual([1, 0.5, 0.25, 0.125]);
    expect(sound.filter((sample) => sample !== 0)).toHaveLength(4);
  });

  it("is another one for each of the next eleven numbers", () => {
    const blocks = Array.from({ length: 12 }, (_, number) => tone(100, number).join());
    expect(new Set(blocks).size).toBe(12);
  });
});

describe("options", () => {
  it.each([
    "--requests 0",
    "--workers 65",
    "--workers",
    "--samples 1200",
    "--rate 9",
    "--requests 3 --requests 4",
    "now",
  ])("refuses %s in clear words", (words) => {
    expect(() => parseOptions(words.split(" "))).toThrow(UsageError);
  });
});

describe("the program", { timeout: 120_000 }, () => {
  it.each([
    [2, "--requests 40 --workers 3 --samples 2000", 40],
    [4, "--requests 30 --workers 1 --samples 5000", 90],
    [2, "--requests 2 --samples 40000", 2],
  ])("with %i ranks, %s: all come back", async (ranks, options, total) => {
    const { stdout, stderr, code } = await run(["-n", String(ranks), EXAMPLE, ...options.split(" ")]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const asked = [...stdout.matchAll(/^rank (\d): (\d+) blocks .* each with the echo that belongs to it$/gm)];
    expect(asked.map(([, rank]) => Number(rank)).sort()).toEqual([0, 2, 3].slice(0, ranks - 1));
    const [, echoed, threads, each = ""] =
      /^rank 1: echoed (\d+) blocks in (\d) worker threads? that never joined: ([\d+ ]+)$/m.exec(stdout) ?? [];
    expect(Number(echoed)).toBe(total);
    const shares = each.split(" + ").map(Number);
    expect(shares).toHaveLength(Number(threads));
    expect(shares.reduce((sum, share) => sum + share)).toBe(total);
  });

  it("says that one rank is not enough, and what is wrong with an option, once", async () => {
    const alone = await run(["-n", "1", EXAMPLE]);
    expect(alone.code).toBe(2);
    expect(alone.stderr).toMatch(/^echo-worker: needs at least 2 ranks.*\ncarillon: rank 0 exited with code 2\n$/);
    const wrong = await run(["-n", "2", EXAMPLE, "--workers", "none"]);
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toMatch(/^echo-worker: --workers takes .*"none"\ncarillon: rank 0 exited with code 2\n$/);
  });

  it("ends when the rank with the workers is killed", async () => {
    expect(await killedAtWork(1, ["-n", "3", EXAMPLE, "--requests", "1000000"])).toMatch(
      /rank 1 was killed by SIGKILL/,
    );
  });
});
