// `carillon run` in a terminal, made by script(1): rank 0 keeps it, the others know of its colours, its keys reach
// everyone once.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { fixture, isAlive, MAIN, numbers, type Running, start, until, untilGone } from "./fixtures/carillon.js";

vi.setConfig({ testTimeout: 60_000 });

const hasScript = spawnSync("script", ["--version"]).status === 0;

function inTerminal(words: string[], env: NodeJS.ProcessEnv = {}): Running {
  const command = [process.execPath, MAIN, "run", ...words].map((word) => `'${word}'`).join(" ");
  return start("script", ["-qefc", command, "/dev/null"], { env: { TERM: "xterm-256color", COLORTERM: "", ...env } });
}

describe.skipIf(!hasScript)("in a terminal", () => {
  test("rank 0 has it and the others know of its colours", async () => {
    const { code, stdout } = await inTerminal(["-n", "2", fixture("terminal.mjs")]).ended;
    expect(code).toBe(0);
    expect(stdout).toContain("rank 0 terminals=yyy force=unset");
    expect(stdout).toContain("rank 1 terminals=nnn force=2");
  });

  test("labelled output is relayed for rank 0 too, with its colours", async () => {
    const { stdout } = await inTerminal(["-n", "1", "--label", fixture("terminal.mjs")]).ended;
    expect(stdout).toContain("[0] rank 0 terminals=ynn force=2");
  });

  test("NO_COLOR is respected", async () => {
    const { stdout } = await inTerminal(["-n", "2", fixture("terminal.mjs")], { NO_COLOR: "1" }).ended;
    expect(stdout).toContain("rank 1 terminals=nnn force=unset");
  });

  test("Ctrl-C reaches every rank once, a second one kills", async () => {
    const job = inTerminal(["-n", "3", fixture("signals.mjs")]);
    await until(job, "rank 0 ready", "rank 1 ready", "rank 2 ready");
    job.child.stdin?.write("\x03");
    await until(job, "rank 0 got SIGINT", "rank 1 got SIGINT", "rank 2 got SIGINT");
    const ranks = numbers(job.stdout, "pid");
    expect(ranks.filter(isAlive)).toHaveLength(3);
    expect(job.stdout.match(/got SIGINT/g)).toHaveLength(3);
    const again = setInterval(() => job.child.stdin?.write("\x03"), 50);
    const { code } = await job.ended;
    clearInterval(again);
    expect(code).toBe(130);
    await untilGone(ranks);
  });

  test("a line typed goes to rank 0", async () => {
    const job = inTerminal([
      "-n",
      "2",
      "--",
      "sh",
      "-c",
      'read -r line && echo "rank $CARILLON_RANK read $line"; true',
    ]);
    job.child.stdin?.write("bells\n");
    const { code, stdout } = await job.ended;
    expect(code).toBe(0);
    expect(stdout).toContain("rank 0 read bells");
    expect(stdout).not.toContain("rank 1 read");
  });

  test("what rank 0 has started in the terminal's own group ends with a failing job", async () => {
    const script =
      'if [ "$CARILLON_RANK" = 1 ]; then read -r line < "$0"; exit 5; fi; sleep 1000 & echo child=$!; wait';
    const folder = mkdtempSync(join(tmpdir(), "carillon-terminal-"));
    const fifo = `${folder}/fifo`;
    spawnSync("mkfifo", [fifo]);
    const job = inTerminal(["-n", "2", "--", "sh", "-c", script.replaceAll("'", '"'), fifo]);
    await expect.poll(() => numbers(job.stdout, "child"), { timeout: 30_000 }).toHaveLength(1);
    writeFileSync(fifo, "go\n");
    const { code, stdout } = await job.ended;
    rmSync(folder, { recursive: true });
    expect(code).toBe(5);
    expect(stdout).toContain("carillon: rank 1 exited with code 5");
    await untilGone(numbers(stdout, "child"));
  });
});
