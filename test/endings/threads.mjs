// Threads that end while their rank and its peer go on: one job for each ending, and what must hold of it.
// Not responsible for what the ranks do and check themselves (host.mjs).
import { fileURLToPath } from "node:url";
import { buildAddon } from "../support/addon.mjs";
import { clock, describe, HANG, run } from "./jobs.mjs";

/** Bytes that a process may use more in the end than after the first moments: a ring that each moment left would be 40 MiB. */
const GROWTH = 16 << 20;

let addon;

/** No moment begins after `until`. */
export async function endThreads(ending, seed, from, moments, until) {
  addon ??= buildAddon(fileURLToPath(new URL("./memory.cc", import.meta.url)));
  const words = [ending, seed, addon, String(from), String(moments), String(until)];
  const { ranks, hung, slower } = await run(2, "host.mjs", words);
  const harm = [];
  const expect = (holds, what) => {
    if (!holds) harm.push(what);
  };
  const limit = HANG * slower;
  const [host] = ranks;
  const all = host.said.filter((each) => "moment" in each);
  const slowest = {
    slower,
    ending: Math.max(0, ...all.map(({ ends }) => ends)),
    hearing: Math.max(0, ...all.map(({ hears }) => hears)),
  };
  expect(!hung, "nothing happens any more");
  expect(all.length === moments || clock() > until, `${all.length} of ${moments} moments came`);
  for (const { moment, ends, hears } of all) {
    expect(ends < limit, `moment ${moment}: it took ${ends} ms to end`);
    expect(hears < limit, `moment ${moment}: it took ${hears} ms until the others had gone on`);
  }
  for (const { rank, code, signal, at, said } of ranks) {
    const leaves = said.find((each) => "leaves" in each)?.leaves;
    expect(code === 0 && signal === null, `rank ${rank} ended with ${signal ?? code}`);
    if (leaves) expect(at - leaves < limit, `rank ${rank} took ${at - leaves} ms to end`);
  }
  const { grown = [0, 0], sent = 0, lost = 0 } = Object.assign({}, ...host.said);
  for (const [rank, bytes] of grown.entries()) expect(bytes < GROWTH, `rank ${rank} has ${bytes} bytes more`);
  const [more, more1] = grown.map((bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`);
  const says = `; ${lost} messages went with their threads; memory ${more} and ${more1} more`;
  const what = [...harm, ...ranks.map(describe)].join("\n");
  return { came: all.length, harm: harm.length > 0 ? [{ what }] : [], messages: sent, slowest, says };
}
