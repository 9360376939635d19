// The benchmark's own correctness: rows that can be told apart, targets that name rows and peers that there are, and peers that carry what they are
// asked to, end when they are told to, and leave nothing behind. Figures are not looked at.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import type { Question } from "../../bench/harness/interleave.js";
import type { Peer, Session, Workload } from "../../bench/harness/peer.js";
import type { Placement } from "../../bench/harness/placement.js";
import type { Context } from "../../bench/harness/row.js";
import { thorough } from "../support/thorough.js";

const { rows } = (await built("rows/index.js")) as typeof import("../../bench/rows/index.js");
const { peers } = (await built("peers/index.js")) as typeof import("../../bench/peers/index.js");
const { targets } = (await built("targets/index.js")) as typeof import("../../bench/targets/index.js");
const { interleave } = (await built("harness/interleave.js")) as typeof import("../../bench/harness/interleave.js");

const { Packing } = (await built("harness/packing.js")) as typeof import("../../bench/harness/packing.js");
const { placements } = (await built("harness/placement.js")) as typeof import("../../bench/harness/placement.js");

const folder = mkdtempSync(join(tmpdir(), "carillon-bench-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const FREE: Placement = { id: "free", description: "not pinned" };
const CONTEXT: Context = { quick: true, rounds: 2, batchNs: 1e5, folder, progress: () => {} };
/** Only these are no fault of the benchmark's. */
const NOT_HERE =
  /^no mpiexec of|is not there to compile|Cannot find (package|module) 'zeromq'|^zeromq is not installed/;

function built(file: string): Promise<unknown> {
  return import(new URL(`../../dist/bench/${file}`, import.meta.url).href);
}

describe("rows", () => {
  const all = rows(folder);

  it("have ids of their own, and columns that name their headline's unit", () => {
    const ids = all.map(({ id }) => id);
    expect(ids.filter((id, i) => ids.indexOf(id) !== i)).toEqual([]);
    for (const { id, title, about, columns, headline } of all) {
      expect(id).toMatch(/^[a-z][\w-]*(\/[\w-]+)?$/i);
      expect(`${title}${about}`).not.toMatch(/undefined|NaN|\n/);
      expect(columns.length).toBeGreaterThan(0);
      expect(headline).toMatch(/Ns$|PerMillion$|^slowdown$/);
    }
  });

  it("that a picture shows stand in it once for each placement, size, side and state", () => {
    const places = all.flatMap(({ id, figure, placement }) => {
      if (!figure) return [];
      expect(figure.bytes).toBeGreaterThanOrEqual(0);
      return [JSON.stringify([id.startsWith("doorbell-"), figure, placement?.id])];
    });
    expect(places.filter((place, i) => places.indexOf(place) !== i)).toEqual([]);
    const sizes = (kind: string) => new Set(all.flatMap(({ figure }) => (figure?.kind === kind ? [figure.bytes] : [])));
    expect([...sizes("latency")].sort((a, b) => a - b)).toEqual([8, 64, 512, 4096, 32_768, 262_144, 2 ** 20]);
    expect(Math.max(...sizes("bandwidth"))).toBe(2 ** 28);
  });

  it("of a quick run are few, and show the whole range", () => {
    const quick = all.filter(({ thorough }) => !thorough).map(({ id }) => id.split(/[-/]/)[0]);
    expect(quick.length).toBeLessThanOrEqual(14);
    for (const kind of ["roundtrip", "rate", "bandwidth", "overlap", "reaction", "queue", "match", "idle", "doorbell"])
      expect(quick).toContain(kind);
  });

  it("are what targets ask for: each looks up rows, peers and values by names that rows have", () => {
    const ids = new Set(all.map(({ id }) => id));
    const source = readdirSync(new URL("../../bench/targets/", import.meta.url))
      .map((file) => readFileSync(new URL(`../../bench/targets/${file}`, import.meta.url), "utf8"))
      .join("\n");
    const named = [...source.matchAll(/"([a-z]+-[\w-]*\/[\w-]*)"/g)].map(([, id]) => id as string);
    expect(named.length).toBeGreaterThan(4);
    for (const name of named)
      expect([...ids].some((id) => (name.endsWith("/") ? id.startsWith(name) : id === name))).toBe(true);
    expect(new Set(targets.map(({ id }) => id)).size).toBe(targets.length);
  });
});

describe("peers in turn", () => {
  const session = (talkers: readonly number[], fails = false): Session => ({
    pids: [process.pid],
    talkers,
    async measure({ count, mode }) {
      if (fails) throw new Error("it broke");
      await pause(12); // as long as it takes to be looked at
      return { nanoseconds: 1e6 * count, count, each: mode === "each" ? Array(count).fill(1e6) : [] };
    },
    remark: async () => "by pigeon",
    stop: async () => {},
  });
  const peer = (id: string, start: () => Promise<Session>): Peer => ({ id, name: id, start });
  const ask = (question: Partial<Question>) =>
    interleave(
      { peers: [], workload: "bytes:8", placement: FREE, individually: true, ...question },
      { ...CONTEXT, rounds: 4 },
    );

  it("say each for itself why there is no figure", async () => {
    const measured = await ask({
      peers: [
        peer("absent", () => Promise.reject(new Error("it is not installed"))),
        peer("broken", async () => session([], true)),
        peer("sound", async () => session([])),
      ],
    });
    expect(measured.map(({ unavailable }) => unavailable)).toEqual(["it is not installed", "it broke", undefined]);
    expect(measured[2]?.each.map(({ length }) => length)).toEqual([8, 8, 8, 8]);
    expect(measured[2]?.passes).toBe(32);
  });

  it("say what was true of all of it: what they remark, too few CPUs, both on one", async () => {
    const packed = peer("packed", async () => session([process.pid, process.pid]));
    const [one] = await ask({ peers: [packed], placement: { ...FREE, note: "oversubscribed" } });
    // Not always all of them: who looks is looked at, and may be moved between the two readings of a look.
    expect(one?.note).toMatch(/^by pigeon; oversubscribed; both on one CPU in \d+ % of looks/);
  });

  it("are not measured where they cannot be placed", async () => {
    const [one] = await ask({
      peers: [peer("sound", async () => session([]))],
      placement: { ...FREE, unavailable: "one CPU" },
    });
    expect(one?.unavailable).toBe("one CPU");
  });
});

it("two threads are seen on the CPUs that they are on", async (test) => {
  const [apart] = placements() as [Placement];
  if (apart.unavailable !== undefined || !apart.cpus) return test.skip(); // one CPU, or no taskset: there is no apart
  const sleepers = [0, 1, 1].map((i) => spawn("taskset", ["-c", String(apart.cpus?.[i]), "sleep", "60"]));
  try {
    // They are pinned when taskset has become what it was asked to run.
    for (const { pid } of sleepers) while (readFileSync(`/proc/${pid}/comm`, "utf8").trim() !== "sleep") await pause(5);
    const [one, other, same] = sleepers.map(({ pid }) => pid as number) as [number, number, number];
    const [apartSeen, togetherSeen] = [new Packing([one, other]), new Packing([other, same])];
    apartSeen.begin();
    togetherSeen.begin();
    while (togetherSeen.note() === undefined) await pause(10);
    for (const seen of [apartSeen, togetherSeen]) seen.end();
    expect(togetherSeen.note()).toMatch(/^both on one CPU in 100 %/);
    expect(apartSeen.note()).toBeUndefined();
  } finally {
    for (const sleeper of sleepers) sleeper.kill();
  }
});

describe("each peer", () => {
  const all: Record<string, Peer> = peers(folder);
  const echoes: Workload[] = ["bytes:8", "bytes:4096", "bytes:65536", "object", "object:300", "string"];
  /** Nothing: another one's program with other words. */
  const carried: Record<string, readonly Workload[]> = {
    adaptive: [...echoes, "stream1m", "recv:100000:1000", "compute:0:1000"],
    adaptiveAllocated: ["bytes:65536", "both:100000:1000"],
    block: [],
    flow: ["rate:64", "bulk:4096", "bulk:100000"],
    flowBlock: [],
    callback: ["rate:64"],
    subscribe: [],
    iterate: [],
    allocated: [],
    ordinary: [],
    sharedToOrdinary: [],
    handedOver: [],
    ring: ["bulk:100000"],
    leased: ["bulk:100000"],
    carillonThreads: [...echoes, "rate:64"],
    messagePort: [...echoes, "rate:64", "bulk:100000", "send:100000:1000"],
    messagePortTransfer: ["bulk:100000"],
    broadcastChannel: [...echoes, "rate:64"],
    atomicsRing: [...echoes, "rate:64", "bulk:100000", "bulk:3000000"],
    ipcJson: ["bytes:8", "bytes:4096", "object:300", "string", "rate:64"],
    ipcAdvanced: [...echoes, "rate:64", "bulk:100000"],
    socket: [...echoes, "stream1m", "rate:64", "bulk:100000", "send:100000:1000"],
    socketRaw: ["rate:64"],
    zeromq: [...echoes, "rate:64", "bulk:100000"],
    eventfd: ["bytes:8", "bytes:4096", "wake"],
    spin: ["bytes:8", "bytes:4096"],
    reactionEventfd: ["react-idle:8"],
    reactionSignal: [],
    mpich: [],
    openMpi: ["bytes:8", "bytes:4096", "bulk:100000"],
    memcpy: ["stream1m", "bulk:100000"],
  };

  it("is in this table", () => expect(Object.keys(carried).sort()).toEqual(Object.keys(all).sort()));

  for (const [key, workloads] of Object.entries(carried)) {
    if (workloads.length === 0) continue;
    thorough(`carries what it is asked to, and ends: ${key}`, async (test) => {
      const session = await start(all[key] as Peer);
      if (session === undefined) return test.skip(); // it says what it lacks: zeromq, a compiler, an MPI
      for (const workload of workloads) {
        const each = /^(rate|bulk|stream)/.test(workload) ? "rate" : "each";
        // More than a window of short messages, once, where their senders must not run away.
        const count = workload === "rate:64" ? 2_100 : 5;
        const sample = await session.measure({ workload, mode: each, count });
        expect(sample.nanoseconds, workload).toBeGreaterThan(0);
        expect(sample.each.length, workload).toBe(each === "each" ? count : 0);
      }
      expect(session.talkers.length).toBe(key === "memcpy" ? 1 : 2);
      await session.stop();
      await gone(session.pids);
    });
  }

  for (const key of ["ipcJson", "zeromq", "atomicsRing", "adaptive"]) {
    thorough(`takes its partner along when it is killed: ${key}`, async (test) => {
      const session = await start(all[key] as Peer);
      if (session === undefined) return test.skip(); // as above
      process.kill(session.pids[0] as number, "SIGKILL");
      await expect(session.measure({ workload: "bytes:8", mode: "rate", count: 5 })).rejects.toThrow(
        /ended by SIGKILL/,
      );
      await session.stop();
      await gone(session.pids);
    });
  }
});

describe("a bench that is interrupted writes its JSON, with what is missing named, and leaves nothing behind", () => {
  const [first, second] = ["oneway-1MiB/together", "oneway-1MiB/free"] as const;
  const interrupted = async (words: readonly string[], when: (bench: ChildProcess, said: () => string) => boolean) => {
    const main = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));
    const bench = spawn(process.execPath, [main, "bench", "--json", "-", ...words], { detached: true });
    const json = text(bench.stdout);
    let said = "";
    bench.stderr.setEncoding("utf8").on("data", (piece) => {
      said += piece;
    });
    const group = bench.pid as number;
    const ended = once(bench, "exit");
    while (!when(bench, () => said) && bench.exitCode === null) await pause(10);
    process.kill(group, "SIGINT");
    expect((await ended)[0]).toBe(130);
    await gone(inGroup(group));
    const report = JSON.parse(await json);
    return { ...report, rows: report.rows.map(({ id }: { id: string }) => id) };
  };

  thorough("in its first row", async () => {
    // Itself, two ranks twice, the socket's two: all that every machine has.
    const running = (bench: ChildProcess) => inGroup(bench.pid as number).length >= 7;
    const report = await interrupted(["--only", first, "--rounds", "100000"], running);
    expect(report).toMatchObject({ interrupted: true, leftOut: [first], rows: [] });
  });

  thorough("in its second", async () => {
    const report = await interrupted(["--only", `${first},${second}`, "--rounds", "2"], (_, said) =>
      said().includes("[2/2"),
    );
    expect(report).toMatchObject({ interrupted: true, leftOut: [second], rows: [first] });
  });
});

async function start(peer: Peer): Promise<Session | undefined> {
  try {
    return await peer.start(FREE);
  } catch (error) {
    expect((error as Error).message).toMatch(NOT_HERE);
    return undefined;
  }
}

/** Waits until none of them runs: a zombie has ended. */
async function gone(pids: readonly number[]): Promise<void> {
  for (const pid of pids) while (isRunning(pid)) await pause(5);
}

function isRunning(pid: number): boolean {
  try {
    return existsSync(`/proc/${pid}`) && !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

function inGroup(group: number): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
        return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[2]) === group && isRunning(pid);
      } catch {
        return false;
      }
    });
}
