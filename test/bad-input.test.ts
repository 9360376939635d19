// Bad input: whatever a user passes, sets or breaks is answered by a clear error, and nothing is lost by it.
import { beforeAll, describe, expect, test } from "vitest";
import { alone, ranks, type Said, shares } from "./support/ranks.js";

const PROGRAM = "bad-input.mjs";

describe("refused with a clear error:", () => {
  test("what is no rank of this world", () => shares(2, PROGRAM, ["ranks"]));
  test("what is no tag", () => shares(2, PROGRAM, ["tags"]));
  test("signals, memory, timeouts and waits of the wrong kind", () => shares(2, PROGRAM, ["options"]));
  test("values that cannot be cloned", () => shares(2, PROGRAM, ["values"]));
  test("buffers that are detached, resizable or growable", () => shares(2, PROGRAM, ["buffers"]));
  test("messages of more than 4 GiB", () => shares(2, PROGRAM, ["oversized"]));
});

describe("a buffer that is transferred in flight", () => {
  test("rejects the receive into it", () => shares(2, PROGRAM, ["detachedInFlight"]));
  test("does not harm what was sent from it", () => shares(2, PROGRAM, ["sentAndDetached"]));
});

describe("join", () => {
  const job = "carillon-00000000000000000000000000000000";
  const environments: [what: string, env: Record<string, string>, named: string][] = [
    ["only a rank", { CARILLON_RANK: "0" }, "incomplete"],
    ["no job", { CARILLON_RANK: "0", CARILLON_SIZE: "2" }, "incomplete"],
    ["an empty rank", { CARILLON_RANK: "", CARILLON_SIZE: "2", CARILLON_JOB: job }, "CARILLON_RANK"],
    ["a negative rank", { CARILLON_RANK: "-1", CARILLON_SIZE: "2", CARILLON_JOB: job }, "CARILLON_RANK"],
    ["a rank beyond the size", { CARILLON_RANK: "2", CARILLON_SIZE: "2", CARILLON_JOB: job }, "CARILLON_RANK"],
    ["a rank that is no number", { CARILLON_RANK: "one", CARILLON_SIZE: "2", CARILLON_JOB: job }, "CARILLON_RANK"],
    ["a size of none", { CARILLON_RANK: "0", CARILLON_SIZE: "0", CARILLON_JOB: job }, "CARILLON_SIZE"],
    ["a size beyond all bounds", { CARILLON_RANK: "0", CARILLON_SIZE: "100000", CARILLON_JOB: job }, "CARILLON_SIZE"],
    [
      "a job that is no address",
      { CARILLON_RANK: "0", CARILLON_SIZE: "2", CARILLON_JOB: "/etc/passwd" },
      "CARILLON_JOB",
    ],
    ["an unknown wait", { CARILLON_WAIT: "never" }, "CARILLON_WAIT"],
    ["an unknown rendezvous", { CARILLON_RENDEZVOUS: "pigeon" }, "CARILLON_RENDEZVOUS"],
    ["a bound that is no number", { CARILLON_MAX_UNEXPECTED_BYTES: "64M" }, "CARILLON_MAX_UNEXPECTED_BYTES"],
    ["a bound too small for anything", { CARILLON_MAX_UNEXPECTED_BYTES: "1000" }, "from 1048576 to"],
    ["an eager limit beyond a packet", { CARILLON_EAGER_BYTES: "16001" }, "from 0 to 16000"],
  ];
  const options: [name: string, options: object][] = [
    ["wait", { wait: "always" }],
    ["rendezvous", { rendezvous: true }],
    ["maxUnexpectedBytes", { maxUnexpectedBytes: 100 }],
    ["eagerBytes", { eagerBytes: -1 }],
  ];

  /** What one process hears in all these environments, and then with all these options. */
  let said: Said[];
  beforeAll(async () => {
    const tries = [...environments.map(([, env]) => ({ env })), ...options.map(([, each]) => ({ options: each }))];
    const one = alone("join.mjs", [], { env: { TEST_TRIES: JSON.stringify(tries) } });
    await one.endedWell();
    said = one.at(0).said;
    expect(said).toHaveLength(tries.length);
  });

  test.each(environments)("refuses an environment with %s", (what, _env, named) => {
    const heard = said[environments.findIndex(([each]) => each === what)];
    expect(heard).toMatchObject({ name: "CarillonError", code: "ERR_CARILLON_ENVIRONMENT" });
    expect(heard?.message).toContain(named);
  });

  test.each(options)("takes only known values of %s", (name) => {
    const heard = said[environments.length + options.findIndex(([each]) => each === name)];
    expect(heard).toMatchObject({ code: "ERR_CARILLON_INVALID_ARGUMENT" });
    expect(heard?.message).toContain(name);
  });

  test("fails when the launcher has gone", async () => {
    const env = { CARILLON_RANK: "0", CARILLON_SIZE: "2", CARILLON_JOB: job };
    const said = await alone("join.mjs", [], { env }).at(0).hears("code");
    expect(said).toMatchObject({ code: "ERR_CARILLON_JOIN_FAILED" });
    expect(said.message).toContain("no launcher answers");
  });

  test("fails with a size that is not the launcher's", async () => {
    const started = ranks(2, "join.mjs", [], { env: { CARILLON_SIZE: "3" }, absent: [1] });
    expect(await started.wait(started.at(0).hears("code"))).toMatchObject({
      code: "ERR_CARILLON_ENVIRONMENT",
      rank: 0,
    });
  });

  test.each([
    ["exits without joining", "leaveFirst", 0, "exit code 0"],
    ["fails before it joins", "failFirst", 7, "exit code 7"],
  ])("fails, naming the rank, when a rank %s", async (_what, word, code, how) => {
    const started = ranks(3, "join.mjs", [word]);
    for (const rank of [0, 2]) {
      const said = await started.wait(started.at(rank).hears("code"));
      expect(said).toMatchObject({ code: "ERR_CARILLON_JOIN_FAILED", rank: 1 });
      expect(said.message).toContain(how);
    }
    expect((await started.at(1).ended).code).toBe(code);
    await started.endedWell(1);
  });

  test("fails, naming the rank, when a rank is killed before it joins", async () => {
    const started = ranks(3, "join.mjs", ["waitFirst"]);
    await started.wait(started.at(1).hears("waiting"));
    started.at(1).kill();
    for (const rank of [0, 2]) {
      const said = await started.wait(started.at(rank).hears("code"));
      expect(said).toMatchObject({ code: "ERR_CARILLON_JOIN_FAILED", rank: 1 });
      expect(said.message).toContain("signal 9");
    }
    await started.endedWell(1);
  });

  test("waits for a rank that is late", async () => {
    const started = ranks(3, "join.mjs", ["waitFirst"]);
    await started.wait(started.at(1).hears("waiting"));
    started.at(1).tell("go");
    await started.endedWell();
    for (const each of started.all) expect(await each.hears("rank")).toEqual({ rank: each.rank, size: 3 });
  });

  test("refuses a forked child that inherits its parent's rank, and harms nobody", async () => {
    const started = ranks(2, "join.mjs", ["fork"]);
    await started.endedWell();
    for (const each of started.all) {
      expect(each.said[1]?.child).toMatchObject({ code: "ERR_CARILLON_RANK_TAKEN", rank: each.rank });
      expect(each.said[2]).toEqual({ after: "still here" });
    }
  });

  test("rejects on another platform, where the import works", async () => {
    const preload = new URL("programs/elsewhere.cjs", import.meta.url).pathname;
    const said = await alone("join.mjs", [], { execArgv: ["--require", preload] })
      .at(0)
      .hears("code");
    expect(said).toMatchObject({ code: "ERR_CARILLON_UNSUPPORTED_PLATFORM" });
    expect(said.message).toContain("darwin");
  });
});
