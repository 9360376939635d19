// The timeline that CARILLON_TRACE asks for: that it is what its format wants, that messages can be followed through it, that nothing is lost with
// a killed rank, and that nothing but the file is left. As its users have it: `carillon run`, launch(), a world of one.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it, test } from "vitest";
import { crossing } from "../src/trace/spans.js";
import { alone, ranks } from "./support/ranks.js";

const CLI = fileURLToPath(new URL("../dist/src/cli/main.js", import.meta.url));
const PROGRAM = fileURLToPath(new URL("programs/trace.mjs", import.meta.url));
/** Only ends what hangs. */
const HANGS_AFTER_MS = 50_000;

const DRAW = fileURLToPath(new URL("../dist/examples/hillslope/timeline.js", import.meta.url));
const HILLSLOPE = fileURLToPath(new URL("../dist/examples/hillslope/main.js", import.meta.url));

interface Event {
  readonly ph: string;
  readonly name: string;
  readonly cat: string;
  /** In the file the rank and 1 more. */
  readonly pid: number;
  readonly tid: number;
  readonly ts: number;
  readonly dur: number;
  readonly id: string;
  readonly args: Record<string, unknown>;
}

interface Trace {
  readonly traceEvents: Event[];
  readonly otherData: { lostEvents: Record<string, number>; ranks: Record<string, { doorbell: string }> };
}

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "carillon-trace-"));
  folders.push(made);
  return made;
}

/** Runs it in a folder of its own, which it names the file in. */
async function run(words: readonly string[], env: Record<string, string> = {}) {
  const cwd = folder();
  const child = spawn(process.execPath, words, {
    cwd,
    env: { ...process.env, NODE_OPTIONS: "", CARILLON_TRACE: "t.json", ...env },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: HANGS_AFTER_MS,
  });
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { cwd, code, stdout, stderr, said: `${stdout}${stderr}` };
}

const job = (size: number, ...words: string[]) => [CLI, "run", "-n", String(size), PROGRAM, ...words];

/** What it left: the file, alone, and sound. */
function traceIn({ cwd, said }: { cwd: string; said: string }): Trace {
  expect(readdirSync(cwd), said).toEqual(["t.json"]);
  const trace: Trace = JSON.parse(readFileSync(join(cwd, "t.json"), "utf8"));
  checkFormat(trace.traceEvents);
  // From here on by rank: process 0 would be another one to Perfetto.
  return { ...trace, traceEvents: trace.traceEvents.map((event) => ({ ...event, pid: event.pid - 1 })) };
}

const end = (event: Event) => event.ts + event.dur;

/** The rules of the format, and what this timeline promises beyond them. */
function checkFormat(events: readonly Event[]): void {
  const named = new Set<string>();
  const last = new Map<string, number>();
  const open = new Map<string, string>();
  const spans = new Map<string, Event[]>();
  const flows = new Map<string, Event[]>();
  for (const event of events) {
    const thread = `${event.pid}/${event.tid}`;
    if (!(event.pid > 0)) expect.unreachable(`${event.name} is of process ${event.pid}`);
    if (event.ph === "M") {
      named.add(event.name === "process_name" ? `${event.pid}` : thread);
      continue;
    }
    if (!named.has(`${event.pid}`) || !named.has(thread)) expect.unreachable(`${thread} has no name: ${event.name}`);
    if (!(event.ts >= (last.get(thread) ?? 0)))
      expect.unreachable(`${thread} goes back in time: ${event.name} at ${event.ts}`);
    last.set(thread, event.ts);
    if (event.ph === "X") {
      if (!(event.dur >= 0)) expect.unreachable(`${event.name} has no length`);
      const within = spans.get(thread) ?? [];
      spans.set(thread, within);
      while (within.length > 0 && end(within.at(-1) as Event) <= event.ts) within.pop();
      const outer = within.at(-1);
      // Times are written in thousandths.
      if (outer && end(outer) < end(event) - 0.0015)
        expect.unreachable(`${event.name} at ${event.ts} ends after ${outer.name}`);
      within.push(event);
    } else if (event.ph === "b" || event.ph === "e") {
      const key = `${event.cat} ${event.id}`;
      expect(open.has(key), `${event.ph} of ${event.name}, ${key}`).toBe(event.ph === "e");
      if (event.ph === "b") open.set(key, event.name);
      else open.delete(key);
    } else if (event.ph === "i") {
      expect(event).toMatchObject({ s: "t" });
    } else {
      expect(["s", "t", "f"]).toContain(event.ph);
      const on = spans.get(thread)?.at(-1);
      if (on?.ts !== event.ts) expect.unreachable(`a flow begins or ends on no span: ${event.id}`);
      flows.set(event.id, [...(flows.get(event.id) ?? []), event]);
    }
  }
  expect([...open.values()]).toEqual([]);
  for (const [id, flow] of flows) {
    const inOrder = flow.toSorted((a, b) => a.ts - b.ts || "stf".indexOf(a.ph) - "stf".indexOf(b.ph));
    expect(inOrder.map(({ ph }) => ph).join(""), id).toMatch(/^st*f$/);
  }
}

function spansOf({ traceEvents }: Trace, pid: number, name: string, tag?: number): Event[] {
  return traceEvents.filter(
    (each) => each.ph === "X" && each.pid === pid && each.name === name && (tag === undefined || each.args.tag === tag),
  );
}

/** Where the flow that leaves this span leads: spans, in order. */
function followed({ traceEvents }: Trace, span: Event): Event[] {
  const starts = traceEvents.filter(
    (each) => each.ph === "s" && each.pid === span.pid && each.tid === span.tid && each.ts === span.ts,
  );
  expect(starts.length, `flows from ${span.name}`).toBe(1);
  const steps = traceEvents.filter((each) => (each.ph === "t" || each.ph === "f") && each.id === starts[0]?.id);
  return steps
    .toSorted((a, b) => a.ts - b.ts)
    .map(
      (step) =>
        traceEvents.find(
          (each) => each.ph === "X" && each.pid === step.pid && each.tid === step.tid && each.ts === step.ts,
        ) as Event,
    );
}

/** Messages of `protocols` (trace.mjs) by tag: how each left, and what became of it. */
function checkProtocols(trace: Trace): void {
  const sent = (tag: number) => {
    const [span] = spansOf(trace, 0, tag === 5 ? "send to 0" : "send to 1", tag);
    return span as Event;
  };
  const names = (tag: number) => followed(trace, sent(tag)).map(({ pid, name }) => `${pid}: ${name}`);
  const ending = (tag: number) =>
    trace.traceEvents.find(
      (each) => each.ph === "e" && each.pid === 1 && each.name === "recv from 0" && each.args.tag === tag,
    )?.args;

  expect(sent(1).args).toEqual({ peer: 1, tag: 1, bytes: 8, protocol: "eager" });
  expect(names(1)).toEqual(["1: match from 0"]);
  expect(spansOf(trace, 1, "match from 0", 1)[0]?.args).toMatchObject({ bytes: 8, protocol: "eager" });
  expect(ending(1)).toMatchObject({ bytes: 8, protocol: "eager" });

  expect(sent(2).args).toEqual({ peer: 1, tag: 2, bytes: 3_000_000, protocol: "rendezvous" });
  expect(new Set(names(2))).toEqual(new Set(["1: match from 0", "1: copy from 0"]));
  const copied = spansOf(trace, 1, "copy from 0", 2);
  expect(copied.reduce((sum, { args }) => sum + (args.bytes as number), 0)).toBe(3_000_000);
  const { protocol } = ending(2) as { protocol: string };
  expect(["pulled", "pushed"]).toContain(protocol);

  expect(sent(3).args).toEqual({ peer: 1, tag: 3, bytes: 8, protocol: "rendezvous" });
  expect(names(3)).toContain("1: match from 0");
  const took = trace.traceEvents.find(
    (each) => each.ph === "e" && each.pid === 0 && each.name === "send to 1" && each.args.tag === 3,
  );
  expect(took?.args).toMatchObject({ bytes: 8 });

  expect(sent(4).args).toMatchObject({ bytes: 1 << 20, protocol: "leased" });
  expect(names(4)[0]).toBe("1: match from 0");
  expect(ending(4)).toMatchObject({ protocol: expect.stringMatching("leased|pulled") });

  expect(sent(5).args).toEqual({ peer: 0, tag: 5, bytes: 100, protocol: "self" });
  expect(names(5)).toEqual(["0: match from 0"]);

  const streamed = spansOf(trace, 0, "send to 1", 7);
  expect(streamed).toHaveLength(5);
  for (const span of streamed) expect(followed(trace, span)[0]).toMatchObject({ pid: 1, name: "match from 0" });
}

describe("under carillon run", () => {
  it("shows each protocol from its send to its match and its end", async () => {
    const ran = await run(job(2, "protocols"));
    expect(ran, ran.said).toMatchObject({ code: 0, said: "" });
    const trace = traceIn(ran);
    checkProtocols(trace);
    const threads = trace.traceEvents
      .filter(({ name }) => name === "thread_name")
      .map(({ pid, args }) => `${pid}: ${args.name}`);
    expect(threads.sort()).toEqual(["0: main", "0: progress", "1: main", "1: progress"]);
    expect(trace.traceEvents.filter(({ name }) => name === "process_name").map(({ args }) => args.name)).toEqual([
      "rank 0",
      "rank 1",
    ]);
    expect(spansOf(trace, 0, "settle").length).toBeGreaterThan(0);
    expect(spansOf(trace, 0, "progress").length).toBeGreaterThan(0);
    const user = trace.traceEvents.filter(({ cat, pid }) => cat === "user" && pid === 0);
    expect(new Set(user.map(({ name }) => name))).toEqual(new Set(["before the end", "turns"]));
  });

  it("has what a killed rank recorded", async () => {
    const ran = await run(job(2, "killed"));
    expect(ran.stderr).toContain("rank 1 was killed by SIGKILL");
    const trace = traceIn(ran);
    const [sent] = spansOf(trace, 1, "send to 0", 1);
    expect(followed(trace, sent as Event)[0]).toMatchObject({ pid: 0, name: "match from 1" });
  });

  it.each(["signal", "uintr-simulated"])("shows the handlers of %s, and what they matched", async (doorbell) => {
    const ran = await run(job(2, "interrupted"), { CARILLON_DOORBELL: doorbell });
    expect(ran.code, ran.said).toBe(0);
    const trace = traceIn(ran);
    const handlers = spansOf(trace, 1, "handler");
    expect(handlers.length).toBeGreaterThan(0);
    expect(handlers[0]?.args).toEqual({ doorbell });
    const rings = spansOf(trace, 0, "ring 1");
    expect(rings.some(({ args }) => args.interrupt === true && args.doorbell === doorbell)).toBe(true);
    const inside = spansOf(trace, 1, "match from 0").filter((match) =>
      handlers.some(
        (handler) => handler.tid === match.tid && handler.ts <= match.ts && end(match) <= end(handler) + 0.001,
      ),
    );
    expect(inside.length).toBeGreaterThan(0);
  });

  it("keeps the first events when there is no room, and says so once", async () => {
    const ran = await run(job(2, "protocols"), { CARILLON_TRACE_EVENTS: "20" });
    expect(ran.code, ran.said).toBe(0);
    const lines = ran.stderr.trim().split("\n");
    expect(lines.map((line) => line.replace(/its last [\d,]+/, "N"))).toEqual([
      "carillon: the timeline of rank 0 is full: it lost N events (CARILLON_TRACE_EVENTS=20)",
      "carillon: the timeline of rank 1 is full: it lost N events (CARILLON_TRACE_EVENTS=20)",
    ]);
    const { lostEvents } = traceIn(ran).otherData;
    expect([lostEvents[0], lostEvents[1]].every((count) => (count ?? 0) > 0)).toBe(true);
  });

  it("starts nothing when the file cannot be written", async () => {
    const ran = await run(job(2, "protocols"), { CARILLON_TRACE: "no/such/folder/t.json" });
    expect(ran).toMatchObject({ code: 1, stdout: "" });
    expect(ran.stderr).toMatch(
      /^carillon: CARILLON_TRACE: .*no\/such\/folder\/t\.json \(ENOENT.*\); name a file .* \[ERR_CARILLON_TRACE_FAILED\]\n$/,
    );
    const wrong = await run(job(2, "protocols"), { CARILLON_TRACE_EVENTS: "many" });
    expect(wrong.stderr).toMatch(
      /CARILLON_TRACE_EVENTS must be a whole number .* not "many" \[ERR_CARILLON_ENVIRONMENT\]/,
    );
    expect(readdirSync(wrong.cwd)).toEqual([]);
  });

  it("lets the overlap of the hillslope be read off it", async () => {
    const ran = await run([
      CLI,
      "run",
      "-n",
      "2",
      HILLSLOPE,
      "--size",
      "1000x1200",
      "--steps",
      "30",
      "--no-check",
      "--out",
      "/dev/null",
    ]);
    expect(ran.code, ran.said).toBe(0);
    const trace = traceIn(ran);
    let hidden = 0;
    for (const rank of [0, 1]) {
      const computing = spansOf(trace, rank, "interior points");
      expect(computing).toHaveLength(30);
      const halos = spansOf(trace, rank, `match from ${1 - rank}`, rank === 0 ? 1 : 2);
      expect(halos).toHaveLength(30);
      // By the native thread, while JavaScript computes.
      const main = computing[0]?.tid;
      const within = halos.filter((halo) =>
        computing.some((span) => halo.tid !== main && span.ts <= halo.ts && end(halo) <= end(span)),
      );
      hidden += within.length;
    }
    expect(hidden).toBeGreaterThan(0);

    const picture = join(folder(), "steps.svg");
    const draws = spawn(process.execPath, [DRAW, join(ran.cwd, "t.json"), picture, "10", "3"], { stdio: "inherit" });
    expect((await once(draws, "close"))[0]).toBe(0);
    const drawn = readFileSync(picture, "utf8");
    for (const lane of ["rank 0, main", "rank 0, progress", "rank 1, main", "rank 1, progress"])
      expect(drawn).toContain(lane);
  });
});

describe("without a launcher", () => {
  it("holds all worlds of its process, whichever thread leaves last", async () => {
    const ran = await run([PROGRAM, "worlds"]);
    expect(ran, ran.said).toMatchObject({ code: 0, said: "" });
    const trace = traceIn(ran);
    const sent = trace.traceEvents.filter(({ ph, name }) => ph === "X" && name === "send to 0");
    expect(sent.map(({ args }) => args.tag)).toEqual([11, 12, 13]);
    for (const span of sent) expect(followed(trace, span)).toHaveLength(1);
    const worker = trace.traceEvents.find(
      ({ name, args }) => name === "thread_name" && /^worker \d/.test(String(args.name)),
    );
    expect(sent[2]?.tid).toBe(worker?.tid);
  });

  it.each([0, 3])("is written when the process exits with code %i in its world", async (code) => {
    const ran = await run([PROGRAM, "exits", String(code)]);
    expect(ran.code, ran.said).toBe(code);
    const trace = traceIn(ran);
    expect(spansOf(trace, 0, "send to 0", 1)).toHaveLength(1);
    expect(trace.traceEvents.find(({ ph, name }) => ph === "e" && name === "recv from any")?.args).toEqual({
      unfinished: true,
    });
  });

  it("shows the tasks of a pool on their threads", async () => {
    const ran = await run([PROGRAM, "pool"]);
    expect(ran, ran.said).toMatchObject({ code: 0, said: "" });
    const trace = traceIn(ran);
    const tasks = trace.traceEvents.filter(({ cat }) => cat === "pool");
    expect(
      tasks
        .filter(({ ph }) => ph !== "e")
        .map(({ name }) => name)
        .sort(),
    ).toEqual(["trace-tasks.mjs", "trace-tasks.mjs", "trace-tasks.mjs: joins"]);
    const named = trace.traceEvents.filter(
      ({ name, args }) => name === "thread_name" && /^worker \d/.test(String(args.name)),
    );
    for (const { tid } of tasks) expect(named.map((each) => each.tid)).toContain(tid);
    expect(trace.traceEvents.some(({ cat, name }) => cat === "user" && name === "within")).toBe(true);
  });

  it("covers all ranks of launch()", async () => {
    const ran = await run([PROGRAM, "launch"]);
    expect(ran, ran.said).toMatchObject({ code: 0, said: "" });
    checkProtocols(traceIn(ran));
  });

  it.each(["join", "launch"])("refuses a file that cannot be written: %s", async (how) => {
    const ran = await run([PROGRAM, "refused", how], { CARILLON_TRACE: "/proc/none.json" });
    expect(JSON.parse(ran.stdout)).toMatchObject({
      code: "ERR_CARILLON_TRACE_FAILED",
      message: expect.stringContaining("/proc/none.json"),
    });
  });

  test("ranks that nobody launched are told who holds buffers", async () => {
    const started = ranks(2, "trace.mjs", ["refused"], { env: { CARILLON_TRACE: "t.json" }, absent: [1] });
    const { code, message } = await started.wait(started.at(0).hears("code"));
    expect({ code, message }).toEqual({
      code: "ERR_CARILLON_TRACE_FAILED",
      message: expect.stringContaining("carillon run"),
    });
    const elsewhere = alone("trace.mjs", ["refused"], {
      env: {
        CARILLON_TRACE: "t.json",
        CARILLON_TRACE_BUFFER: "/nowhere",
        CARILLON_JOB: "j",
        CARILLON_RANK: "0",
        CARILLON_SIZE: "2",
      },
    });
    expect(await elsewhere.wait(elsewhere.at(0).hears("message"))).toMatchObject({
      message: expect.stringMatching(/\/nowhere.*No such file/),
    });
  });

  it("writes over what was there", async () => {
    const first = await run([PROGRAM, "exits", "0"]);
    writeFileSync(join(first.cwd, "t.json"), "x".repeat(1 << 20));
    const again = spawn(process.execPath, [PROGRAM, "exits", "0"], {
      cwd: first.cwd,
      env: { ...process.env, CARILLON_TRACE: "t.json" },
    });
    await once(again, "close");
    traceIn(first);
  });
});

describe("spans that JavaScript measured", () => {
  const spans = (...all: [number, number, boolean][]) => all.map(([begin, end, loose]) => ({ begin, end, loose }));
  it.each([
    ["within another", spans([0, 100, false], [10, 90, true]), []],
    ["around another", spans([0, 100, true], [10, 90, false]), []],
    ["one after the other", spans([0, 10, true], [10, 20, true]), []],
    ["across its end", spans([0, 100, false], [50, 150, true]), [1]],
    ["across its beginning", spans([0, 100, true], [50, 150, false]), [0]],
    ["across each other", spans([0, 100, true], [50, 150, true]), [1]],
    ["across one of two", spans([0, 100, false], [10, 30, true], [20, 90, false]), [1]],
  ])("%s", (_, all, expected) => {
    expect(all.flatMap((span, i) => (crossing(all, 5).has(span) ? [i] : []))).toEqual(expected);
  });

  it("are trimmed where clocks differ by a little", () => {
    const all = spans([0, 100, false], [98, 150, true], [148, 200, false]);
    expect(crossing(all, 5).size).toBe(0);
    expect(all.map(({ begin, end }) => [begin, end])).toEqual([
      [0, 100],
      [100, 148],
      [148, 200],
    ]);
  });
});
