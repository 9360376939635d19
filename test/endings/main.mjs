// npm run endings [-- --moments 200 --seconds N --seed S --only exit,throw,leave,terminate,destroy,close --from 0]: each ending of a rank or
// thread at so many random moments of traffic, or as many as N s allow. Nothing may hang for 2 s (longer in proportion on a machine that
// does other things), crash, be torn, lost or stay behind. Says what ran; at harm how to run that again, and exits with 1.
// Not responsible for what happens at a moment: processes.mjs and threads.mjs.
import { parseArgs } from "node:util";
import { clock } from "./jobs.mjs";
import { endProcesses } from "./processes.mjs";
import { endThreads } from "./threads.mjs";

/** `leave`: world.close of the last thread of a rank; `close`: of one that others stay behind. */
const ENDINGS = {
  exit: endProcesses,
  throw: endProcesses,
  leave: endProcesses,
  terminate: endThreads,
  destroy: endThreads,
  close: endThreads,
};
const usage = `usage: npm run endings [-- --moments N --seconds N --seed N --only ${Object.keys(ENDINGS).join(",")} --from N]`;

function options() {
  try {
    const { values } = parseArgs({
      options: {
        moments: { type: "string", default: "200" },
        seconds: { type: "string", default: "36000" },
        from: { type: "string", default: "0" },
        seed: { type: "string", default: String(Date.now() % 1_000_000) },
        only: { type: "string", default: Object.keys(ENDINGS).join(",") },
      },
    });
    const endings = values.only.split(",");
    const numbers = [values.moments, values.seconds, values.from, values.seed];
    if (numbers.every((each) => /^\d+$/.test(each)) && endings.every((each) => each in ENDINGS)) {
      const [moments, seconds, from] = numbers.map(Number);
      return { seed: values.seed, moments, seconds, from, endings };
    }
  } catch {
    // What it does not know.
  }
  console.error(usage);
  process.exit(2);
}

const { moments, seconds, from, seed, endings } = options();
console.log(`seed ${seed}`);
let harmed = false;
for (const [index, ending] of endings.entries()) {
  const begun = performance.now();
  // What time is left is divided among the endings that are left.
  const until = clock() + (1000 * seconds - begun) / (endings.length - index);
  const { came, harm, slowest, messages, says = "" } = await ENDINGS[ending](ending, seed, from, moments, until);
  const took = ((performance.now() - begun) / 1000).toFixed(1);
  const ms = (key) => `${Math.round(slowest[key])} ms`;
  const load = slowest.slower.toFixed(1);
  console.log(
    `${ending}: ${came} moments in ${took} s, ${messages} messages; slowest end ${ms("ending")}, slowest to hear of it ${ms("hearing")}, on a machine ${load} times slower than alone${says}`,
  );
  for (const { what, moment, upTo } of harm) {
    harmed = true;
    const again = moment === undefined ? "" : ` --from ${moment} --moments ${upTo - moment}`;
    console.log(`HARM (${ending}, --seed ${seed} --only ${ending}${again}): ${what}`);
  }
}
process.exit(harmed ? 1 : 0);
