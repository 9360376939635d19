// `carillon selftest`: starts two ranks for each doorbell and says, a line a check, what they found.
// Responsible for which doorbells, for what ranks do not live to tell, and for the exit code; not for the checks (src/selftest).
import { release, type as systemName } from "node:os";
import { Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { Job } from "../launcher/job.js";
import { type Availability, native } from "../native.js";
import { CHECKS, type Check, type Verdict } from "../selftest/checks.js";
import { type Doorbell, environmentOf } from "../settings.js";
import { version } from "./info.js";

/** Only ends what hangs: a rank that says nothing for so long will never say anything. */
const SILENCE_MS = 60_000;
const RANKS = 2;

interface Result {
  readonly check: Check;
  /** Null: it was not tried, since one before it failed. */
  readonly ok: boolean | null;
  readonly detail: string;
}

interface Tested extends Availability {
  readonly checks: Result[];
}

/**
 * Tests this doorbell, or every one that this machine has.
 * @returns the exit code
 * @throws CarillonError if Carillon cannot work here
 */
export async function selftest(doorbell: Doorbell | undefined, json: boolean): Promise<number> {
  const print = (line: string) => void (json || process.stdout.write(`${line}\n`));
  const rows = chosen(doorbell);
  const width = Math.max(...rows.map((each) => each.name.length));
  const system = `${systemName()} ${release()}`;
  print(`Carillon ${version()}, Node ${process.version}, ${system}: two ranks, one line a check`);
  const tested: Tested[] = [];
  for (const row of rows) {
    const label = row.name.padEnd(width);
    if (!row.available) print(`no    ${label}  ${row.detail}`);
    const show = ({ check, ok, detail }: Result) => print(`${WORDS[`${ok}`]}  ${label}  ${check}: ${detail}`);
    tested.push({ ...row, checks: row.available ? await testDoorbell(row.name as Doorbell, show) : [] });
  }
  const results = tested.flatMap((each) => each.checks);
  const passed = results.filter((each) => each.ok).length;
  const ok = results.length > 0 && passed === results.length;
  print(ok ? `${passed} checks passed` : `${passed} of ${results.length} checks passed`);
  if (json) {
    const found = { carillon: version(), node: process.version, arch: process.arch, system, ok, doorbells: tested };
    process.stdout.write(`${JSON.stringify(found, null, 2)}\n`);
  }
  return ok ? 0 : 1;
}

const WORDS = { true: "ok  ", false: "FAIL", null: "    " };

function chosen(doorbell: Doorbell | undefined): readonly Availability[] {
  const rows = native().doorbells();
  if (doorbell === undefined) return rows;
  if (doorbell === "auto") return [{ name: "auto", available: true, detail: "the best that works here" }];
  const row = rows.find((each) => each.name === doorbell);
  return [row ?? { name: doorbell, available: false, detail: "this version does not have it" }];
}

async function testDoorbell(doorbell: Doorbell, show: (result: Result) => void): Promise<Result[]> {
  const results: Result[] = [];
  const add = (result: Result) => {
    results.push(result);
    show(result);
  };
  /** Why no more can be expected of them. */
  let trouble: string | undefined;
  const hub = native().openHub(RANKS);
  let silence: NodeJS.Timeout | undefined;
  const listen = () => {
    clearTimeout(silence);
    silence = setTimeout(() => {
      trouble ??= `silent for ${SILENCE_MS / 1000} s`;
      job.kill();
    }, SILENCE_MS);
  };
  const hear = (verdict: Verdict) => {
    listen();
    // The other rank's failure may be but a consequence.
    if (verdict.ok || results.every((each) => each.ok)) add(verdict);
  };
  const script = fileURLToPath(new URL("../selftest/rank.js", import.meta.url));
  const job: Job = new Job({
    hub,
    size: RANKS,
    firstRank: 0,
    words: () => [process.execPath, script],
    environment: { ...process.env, CARILLON_TRACE: undefined },
    settings: environmentOf({ doorbell }),
    label: false,
    groups: false,
    stdout: lines((line) => (line.startsWith("{") ? hear(JSON.parse(line)) : process.stderr.write(`${line}\n`))),
    stderr: process.stderr,
    onRankEnded: (end) => {
      if (end.code === 0 && end.signal === 0) return;
      trouble ??= job.describe(end);
      job.end();
    },
  });
  try {
    listen();
    job.start();
  } catch (error) {
    trouble = (error as Error).message;
    job.end();
  }
  await job.over;
  clearTimeout(silence);
  hub.close();
  const failed = results.some((each) => !each.ok);
  for (const [i, check] of CHECKS.slice(results.length).entries()) {
    if (i === 0 && !failed) add({ check, ok: false, detail: trouble ?? "the ranks ended without saying how it went" });
    else add({ check, ok: null, detail: "not tried" });
  }
  return results;
}

/** Where ranks write to. */
function lines(hear: (line: string) => void): Writable {
  let rest = "";
  return new Writable({
    decodeStrings: false,
    write(chunk: Buffer, _encoding, done) {
      const all = (rest + chunk.toString("utf8")).split("\n");
      rest = all.pop() as string;
      all.forEach(hear);
      done();
    },
  });
}
