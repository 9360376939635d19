// `carillon run` and output: whole lines, exact bytes, labels, back-pressure, and one line of bad luck.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable, Writable } from "node:stream";
import { expect, test, vi } from "vitest";
import { LineMerger } from "../../src/launcher/lines.js";
import { thorough } from "../support/thorough.js";
import { carillon, fixture, run, sortedLines } from "./fixtures/carillon.js";

vi.setConfig({ testTimeout: 60_000 });

test("lines of several ranks are never torn, whatever pieces they are written in", async () => {
  const { code, stdout } = await run(["-n", "3", fixture("pieces.mjs")]);
  expect(code).toBe(0);
  const seen = [0, 0, 0];
  for (const line of stdout.split("\n").slice(0, -1)) {
    const [, rank, index, letters = ""] = /^(\d):(\d+):(.*)$/su.exec(line) ?? [];
    expect(Number(index)).toBe(seen[Number(rank)]);
    seen[Number(rank)] = Number(index) + 1;
    expect(new Set(letters).size).toBeLessThanOrEqual(1);
    expect(letters).not.toContain("\ufffd");
  }
  expect(seen).toEqual([400, 400, 400]);
});

test("--label names the rank on every line of both streams", async () => {
  const { stdout, stderr } = await run(["-n", "2", "--label", "--", "sh", "-c", "printf 'a\\n\\nb'; echo problem >&2"]);
  expect(sortedLines(stdout)).toEqual(["[0] ", "[0] a", "[0] b", "[1] ", "[1] a", "[1] b"]);
  expect(sortedLines(stderr)).toEqual(["[0] problem", "[1] problem"]);
});

test("the bytes of a single writer are exact", async () => {
  expect((await run(["-n", "1", "--", "printf", "a\\nb\\r\\n\\0no end"])).stdout).toBe("a\nb\r\n\0no end");
  expect((await run(["-n", "3", "--", "sh", "-c", '[ "$CARILLON_RANK" != 1 ] || printf "no end"'])).stdout).toBe(
    "no end",
  );
});

test("an unended last line is ended only before another line", async () => {
  const { stdout } = await run(["-n", "2", "--", "sh", "-c", 'printf "rank $CARILLON_RANK"']);
  expect(["rank 0\nrank 1", "rank 1\nrank 0"]).toContain(stdout);
});

thorough("a reader that is behind holds the ranks back, not the launcher's memory", async () => {
  const job = carillon(["run", "-n", "2", fixture("flood.mjs")]);
  const stdout = job.child.stdout as Readable;
  stdout.pause();
  // Until nothing moves any more: only then the launcher would have filled its memory.
  let dots = -1;
  for (let quiet = 0; quiet < 20; quiet++) {
    await new Promise((resolve) => setTimeout(resolve, 25));
    if (job.stderr.length !== dots) quiet = 0;
    dots = job.stderr.length;
  }
  expect(job.stderr.length).toBeLessThan(2 * 2 * 64);
  stdout.resume();
  const mebibytes = () => job.stdout.length / 1024 / 1024;
  await expect.poll(mebibytes, { timeout: 50_000 }).toBe(128);
  const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${job.pid}/status`, "latin1"))?.[1];
  expect(Number(peak)).toBeLessThan(150_000);
  job.child.stdin?.end();
  const { code, stdout: text } = await job.ended;
  expect(code).toBe(0);
  expect(text.split("\n").every((line) => line === "" || line === line[0]?.repeat(1023))).toBe(true);
});

test("a line longer than a mebibyte stays in one piece", async () => {
  const script = 'head -c 3000000 /dev/zero | tr "\\0" "$CARILLON_RANK"; echo; echo "after $CARILLON_RANK"';
  const { stdout } = await run(["-n", "3", "--", "sh", "-c", script]);
  const expected = [0, 1, 2].flatMap((rank) => [String(rank).repeat(3_000_000), `after ${rank}`]).sort();
  expect(sortedLines(stdout).map((line) => `${line[0]}${line.at(-1)} ${line.length}`)).toEqual(
    expected.map((line) => `${line[0]}${line.at(-1)} ${line.length}`),
  );
});

test("the writer of an endless line that waits for another writer does not wait forever", async () => {
  // Rank 1 starts when rank 0's line is too long to be held, and writes more than all pipes between us can hold.
  const code = `
    const fs = require("node:fs"), [, go, done] = process.argv;
    if (process.env.CARILLON_RANK === "0") {
      fs.writeSync(1, Buffer.alloc(3 << 20, "0"));
      fs.writeFileSync(go, "");
      fs.readFileSync(done);
      fs.writeSync(1, "end of 0\\n");
    } else {
      fs.readFileSync(go);
      for (let i = 0; i < 4096; i++) fs.writeSync(1, "1".repeat(1023) + "\\n");
      fs.writeFileSync(done, "");
    }`;
  const folder = mkdtempSync(join(tmpdir(), "carillon-output-"));
  const fifos = ["go", "done"].map((name) => join(folder, name));
  execFileSync("mkfifo", fifos);
  const { code: exit, stdout } = await run(["-n", "2", "-e", code, ...fifos]);
  rmSync(folder, { recursive: true });
  expect(exit).toBe(0);
  const lines = sortedLines(stdout);
  expect(lines.filter((line) => line === "1".repeat(1023))).toHaveLength(4096);
  expect(lines.some((line) => line.endsWith("end of 0"))).toBe(true);
});

test("a destination that breaks is told of once, and the writers are drained", async () => {
  const broken = vi.fn();
  const destination = new Writable({ write: (_chunk, _encoding, done) => done(new Error("gone")) });
  const merger = new LineMerger(destination, broken);
  const source = new PassThrough();
  merger.add(source);
  for (let count = 0; count < 100; count++) source.write("line\n".repeat(10_000));
  source.end();
  await new Promise((resolve) => source.once("close", resolve));
  expect(broken).toHaveBeenCalledOnce();
});

test("notes stand on lines of their own", async () => {
  let text = "";
  const destination = new Writable({
    write(chunk, _encoding, done) {
      text += chunk;
      done();
    },
  });
  const merger = new LineMerger(destination);
  const source = Readable.from([Buffer.from("no end")]);
  merger.add(source, "[1] ");
  await new Promise((resolve) => source.once("close", resolve));
  merger.note("carillon: a note");
  expect(text).toBe("[1] no end\ncarillon: a note\n");
});
