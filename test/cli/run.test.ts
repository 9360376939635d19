// `carillon run`: what a rank gets, what is refused before anything starts, exit codes and endings.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { carillon, fixture, isAlive, numbers, run, sortedLines, until, untilGone } from "./fixtures/carillon.js";

vi.setConfig({ testTimeout: 60_000 });

const who = fixture("who.mjs");

function identities(stdout: string) {
  return sortedLines(stdout)
    .map((line) => JSON.parse(line))
    .sort((a, b) => a.rank - b.rank);
}

describe("a rank", () => {
  test("knows who it is", async () => {
    const { code, stdout, stderr } = await run(["-n", "3", who]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const ranks = identities(stdout);
    expect(ranks.map((each) => each.rank)).toEqual(["0", "1", "2"]);
    for (const each of ranks) expect(each).toMatchObject({ size: "3", hasJob: true, args: [], execArgv: [] });
  });

  test("gets the waiting policy, however it is written", async () => {
    for (const words of [["--wait", "block"], ["--wait=block"]]) {
      const [rank] = identities((await run(["-n1", ...words, who])).stdout);
      expect(rank.wait).toBe("block");
    }
    expect(identities((await run(["-n=1", who])).stdout)[0].wait).toBeUndefined();
  });

  test("gets every word after the script as it is", async () => {
    const args = ["-n", "9", "--label", "--wait=x", "--", "--help", "", "a b", "--title", "ü"];
    expect(identities((await run(["-n", "1", who, ...args])).stdout)[0].args).toEqual(args);
  });

  test("gets node's options before the script, with values in the next word or not", async () => {
    const options = [
      "--title",
      "bell",
      "-C",
      "odd",
      "--stack_trace_limit=7",
      "--no-warnings",
      "--env-file",
      "/dev/null",
    ];
    const [rank] = identities((await run([...options, "-n", "1", "--conditions=even", who, "x"])).stdout);
    expect(rank).toMatchObject({ execArgv: [...options, "--conditions=even"], title: "bell", args: ["x"] });
  });

  test("may be a word of code", async () => {
    const { code, stdout } = await run(["-n", "2", "-p", "process.env.CARILLON_RANK + process.argv[1]", "x"]);
    expect({ code, lines: sortedLines(stdout) }).toEqual({ code: 0, lines: ["0x", "1x"] });
  });

  test("may be any command", async () => {
    const { code, stdout } = await run([
      "-n",
      "3",
      "--",
      "sh",
      "-c",
      'echo "$CARILLON_RANK of $CARILLON_SIZE" "$@"',
      "-",
      "-n",
    ]);
    expect({ code, lines: sortedLines(stdout) }).toEqual({ code: 0, lines: ["0 of 3 -n", "1 of 3 -n", "2 of 3 -n"] });
  });

  test("has stdin if it is rank 0, and nothing to read otherwise", async () => {
    const { stdout } = await run(["-n", "3", "--label", "--", "wc", "-l"], { input: "a\nb\n" });
    expect(sortedLines(stdout)).toEqual(["[0] 2", "[1] 0", "[2] 0"]);
  });

  test("has an inspector port of its own", async () => {
    const base = 20_000 + (process.pid % 20_000);
    const { stdout, stderr } = await run(["-n", "3", `--inspect=127.0.0.1:${base}`, who]);
    const ports = [...stderr.matchAll(/ws:\/\/127\.0\.0\.1:(\d+)\//g)].map((match) => Number(match[1])).sort();
    expect(ports).toEqual([base, base + 1, base + 2]);
    expect(identities(stdout)[2].execArgv).toEqual([`--inspect=127.0.0.1:${base}`, `--inspect-port=${base + 2}`]);
  });
});

describe("refused before anything starts", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "carillon-run-"));
    writeFileSync(join(folder, "data"), "no program", { mode: 0o644 });
    writeFileSync(join(folder, "bare.js"), "console.log('found')");
    writeFileSync(join(folder, "typed.ts"), "");
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test.each<[string[], string]>([
    [[who], "how many ranks? Say -n N"],
    [["-n"], "-n takes a whole number of ranks from 1 to 256, but nothing follows it"],
    ...["0", "abc", "1.5", "-1", "257", "1e1", ""].map((size): [string[], string] => [
      ["-n", size, who],
      `-n takes a whole number of ranks from 1 to 256, not ${JSON.stringify(size)}`,
    ]),
    [["-n", "2"], "no script to run"],
    [["-n", "2", "--"], "no command after --"],
    [["-n", "2", "--inspect", "--", "true"], "--inspect is for node"],
    [["-n", "2", "--wait", "never", who], '--wait takes adaptive or block, not "never"'],
    [["-n", "2", "--wait=", who], '--wait takes adaptive or block, not ""'],
    [["-n", "2", "--import"], "--import needs a value"],
    [["-n", "2", "-"], "a script on stdin would reach rank 0 only"],
    [["-n", "2", "--inspect=65535", who], "rank 1 would need the inspector port 65536"],
  ])("%j", async (words, message) => {
    const { code, stdout, stderr } = await run(words);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(`carillon: ${message}`);
    expect(stderr).toMatch(/\nSee carillon run --help\n$/);
  });

  test("a script that does not exist", async () => {
    const { code, stdout, stderr } = await run(["-n", "2", "missing.js"], { cwd: folder });
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toBe(`carillon: there is no script ${join(folder, "missing.js")} [ERR_CARILLON_LAUNCH_FAILED]\n`);
  });

  test("but not one that node finds", async () => {
    expect((await run(["-n", "1", "bare"], { cwd: folder })).stdout).toBe("found\n");
    const hooked = await run(["-n", "1", "--import", "data:text/javascript,process.exit(7)", "typed"], { cwd: folder });
    expect(hooked.code).toBe(7);
  });

  test("a command that does not exist, or is no program", async () => {
    const missing = await run(["-n", "2", "--", "carillon-no-such-command"]);
    expect(missing).toMatchObject({ code: 127, stdout: "" });
    expect(missing.stderr).toBe(
      "carillon: there is no command carillon-no-such-command [ERR_CARILLON_LAUNCH_FAILED]\n",
    );
    const text = await run(["-n", "2", "--", "./data"], { cwd: folder });
    expect(text).toMatchObject({
      code: 126,
      stderr: "carillon: ./data is not executable [ERR_CARILLON_LAUNCH_FAILED]\n",
    });
  });

  test("--help is help", async () => {
    const { code, stdout } = await run(["--help"]);
    expect(code).toBe(0);
    expect(stdout).toContain("carillon run -n N [options] [node options] script [args]");
  });
});

describe("the end of a job", () => {
  test("has the first failing rank's code, named after that rank's last words", async () => {
    const script = 'if [ "$CARILLON_RANK" = 1 ]; then echo last words >&2; exit 3; fi; sleep 1000; true';
    const { code, stderr } = await run(["-n", "3", "--", "sh", "-c", script]);
    expect({ code, stderr }).toEqual({ code: 3, stderr: "last words\ncarillon: rank 1 exited with code 3\n" });
  });

  test("tells a signal from a code", async () => {
    const { code, stderr } = await run([
      "-n",
      "2",
      "--",
      "sh",
      "-c",
      '[ "$CARILLON_RANK" = 1 ] && kill -SEGV $$; sleep 1000; true',
    ]);
    expect({ code, stderr }).toEqual({ code: 139, stderr: "carillon: rank 1 was killed by SIGSEGV\n" });
  });

  test("is told of who was killed, not of who failed because of that before anybody looked", async () => {
    const script = "trap 'exit 1' USR1; echo pid$CARILLON_RANK=$$; while :; do sleep 0.02; done";
    const job = carillon(["run", "-n", "2", "--", "sh", "-c", script]);
    await until(job, "pid0=", "pid1=");
    const [failing, killed] = ["pid0", "pid1"].map((key) => numbers(job.stdout, key)[0] as number) as [number, number];
    process.kill(job.pid, "SIGSTOP");
    process.kill(killed, "SIGKILL");
    process.kill(failing, "SIGUSR1");
    await untilGone([failing, killed]);
    process.kill(job.pid, "SIGCONT");
    const { code, stderr } = await job.ended;
    expect({ code, stderr }).toEqual({ code: 137, stderr: "carillon: rank 1 was killed by SIGKILL\n" });
  });

  test("takes everyone along, also who ignores SIGTERM and what ranks have started", async () => {
    const script = [
      "sleep 1000 >/dev/null 2>&1 &",
      "echo child=$!",
      'if [ "$CARILLON_RANK" = 2 ]; then read -r line < "$0"; exit 9; fi',
      "trap '' TERM; echo pid=$$; while :; do sleep 1000; done",
    ].join("\n");
    const folder = mkdtempSync(join(tmpdir(), "carillon-end-"));
    try {
      const fifo = join(folder, "fifo");
      const job = carillon([
        "run",
        "-n",
        "3",
        "--",
        "sh",
        "-c",
        `[ "$CARILLON_RANK" = 2 ] && mkfifo "$0" && echo made\n${script}`,
        fifo,
      ]);
      await expect.poll(() => numbers(job.stdout, "pid").length, { timeout: 30_000 }).toBe(2);
      await expect.poll(() => numbers(job.stdout, "child").length, { timeout: 30_000 }).toBe(3);
      await until(job, "made");
      writeFileSync(fifo, "go\n");
      const { code, stderr } = await job.ended;
      expect({ code, stderr }).toEqual({ code: 9, stderr: "carillon: rank 2 exited with code 9\n" });
      expect([...numbers(job.stdout, "pid"), ...numbers(job.stdout, "child")].filter(isAlive)).toEqual([]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("comes when a rank ends well without having joined, while others wait for it", async () => {
    const { code, stderr } = await run(["-n", "3", fixture("launched.mjs"), "never join", "1"]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/rank 1 ended \(exit code 0\) before it joined/);
    expect(stderr).toMatch(/\ncarillon: rank [02] exited with code 1\n/);
  });

  test("comes well when no rank joins", async () => {
    expect(await run(["-n", "3", "--", "true"])).toEqual({ code: 0, signal: null, stdout: "", stderr: "" });
  });

  test("comes with the launcher's, however that dies", async () => {
    const job = carillon(["run", "-n", "3", fixture("signals.mjs")]);
    await until(job, "rank 0 ready", "rank 1 ready", "rank 2 ready");
    const ranks = numbers(job.stdout, "pid");
    job.child.kill("SIGKILL");
    await untilGone(ranks);
    expect((await job.ended).signal).toBe("SIGKILL");
  });

  test("is quiet when nobody reads any more", async () => {
    const job = carillon(["run", "-n", "2", "--", "yes"]);
    await until(job, "y\ny\n");
    job.child.stdout?.destroy();
    const { code, stderr } = await job.ended;
    expect({ code, stderr }).toEqual({ code: 141, stderr: "" });
  });
});
