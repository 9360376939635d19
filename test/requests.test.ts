// A Request: a Promise as any other, that can be cancelled, aborted and inspected.
import { test } from "vitest";
import { plays, ranks } from "./support/ranks.js";

const PROGRAM = "requests.mjs";

test("a request is a Promise", () => plays(1, PROGRAM, "promise"));
test("requests, messages and worlds print what they are", () => plays(1, PROGRAM, "inspect"));
test("a signal aborts, before and after, with its reason", () => plays(1, PROGRAM, "abort"));
test("a signal that lives long collects no listeners", () => plays(1, PROGRAM, "listeners"));
test("what was cancelled or closed counts as handled, errors do not", () => plays(1, PROGRAM, "handled"));

test("a lost peer is no handled rejection", async () => {
  const job = ranks(2, PROGRAM, ["lostIsUnhandled"]);
  await job.wait(Promise.all(job.all.map((each) => each.hears("ready"))));
  job.at(1).kill();
  await job.endedWell(1);
});
