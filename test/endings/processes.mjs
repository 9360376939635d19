// Processes that end, one at each moment: the worlds they are in, and what must hold of who ends and who survives.
// Not responsible for what ranks do (rank.mjs).
import { clock, describe, HANG, run } from "./jobs.mjs";

/** Ranks that end in one world, beside the one that survives. */
const VICTIMS = 10;

/** No world begins after `until`. */
export async function endProcesses(ending, seed, from, moments, until) {
  const outcome = { came: 0, harm: [], messages: 0, slowest: { ending: 0, hearing: 0, slower: 1 } };
  for (let first = from; first < from + moments && clock() < until; first += VICTIMS) {
    const victims = Math.min(VICTIMS, from + moments - first);
    const { ranks, hung, slower } = await run(victims + 1, "rank.mjs", [ending, seed, String(first)]);
    outcome.slowest.slower = Math.max(outcome.slowest.slower, slower);
    outcome.came += victims;
    const wrong = judge(ranks, HANG * slower, outcome);
    if (hung) wrong.push("nothing happens any more");
    if (wrong.length === 0) continue;
    const what = [...wrong, ...ranks.map(describe)].join("\n");
    outcome.harm.push({ moment: first, upTo: first + victims, what });
  }
  return outcome;
}

/** What is wrong with how this world ended. */
function judge(ranks, limit, outcome) {
  const [survivor, ...victims] = ranks;
  const { slowest } = outcome;
  const wrong = [];
  const expect = (holds, what) => {
    if (!holds) wrong.push(what);
  };
  const ended = (who, { code, signal, at }, expected, began) => {
    expect(signal === null && code === expected, `${who} ended with ${signal ?? code}, not ${expected}`);
    slowest.ending = Math.max(slowest.ending, at - began);
    expect(at - began < limit, `${who} took ${at - began} ms to end`);
  };
  for (const victim of victims) {
    const who = `rank ${victim.rank}`;
    const theirs = victim.said.find((each) => "ends" in each);
    const ours = survivor.said.find((each) => each.survived === victim.rank);
    expect(theirs?.ends !== undefined, `${who} never came to its moment`);
    expect(ours, `rank 0 never heard of the end of ${who}`);
    if (!theirs?.ends || !ours) continue;
    ended(who, victim, theirs.code, theirs.ends);
    const { stderr } = victim;
    expect(stderr === "" || stderr.includes("on purpose"), `${who} says ${stderr}`);
    if (theirs.closed !== undefined) expect(theirs.closed < limit, `world.close of ${who} took ${theirs.closed} ms`);
    slowest.hearing = Math.max(slowest.hearing, ours.heard - theirs.ends);
    expect(ours.heard - theirs.ends < limit, `rank 0 heard of the end of ${who} ${ours.heard - theirs.ends} ms late`);
    for (const [tag, took] of Object.entries(ours.counts.took)) {
      outcome.messages += took;
      const { left = 0, sent = took } = { left: theirs.counts.left[tag], sent: theirs.counts.sent[tag] };
      // Of what a thread sent nothing is known.
      expect(
        left <= took && took <= sent,
        `of ${who}, tag ${tag}: ${sent} sent, ${left} of them had left, ${took} came`,
      );
    }
    outcome.messages += Object.values(theirs.counts.took).reduce((sum, each) => sum + each, 0);
  }
  const leaves = survivor.said.find((each) => "leaves" in each);
  expect(leaves, "rank 0 did not come to its end");
  if (leaves) ended("rank 0", survivor, 0, leaves.leaves);
  return wrong;
}
