// What must be shown of transfers beside computations.
import { significant } from "../harness/format.js";
import type { Target } from "../harness/verdict.js";
import { ADAPTIVE } from "./judges.js";

const MOST_OVERHEAD = 0.1;
const LARGE = ["8MiB", "32MiB"];

/** Every length of the computation, every large size that was measured. */
function hides(side: "send" | "recv", who: string): Target {
  return {
    id: `overlap-${side}`,
    target: `8 MiB and more while the ${who} computes: overhead ratio ≤ ${MOST_OVERHEAD}`,
    judge(answers) {
      const rows = answers
        .asked(`overlap-${side}-`)
        .filter((row) => LARGE.some((size) => row === `overlap-${side}-${size}/threads-apart`));
      if (rows.length === 0) throw new Error("no such size was measured");
      const worst = rows.map((row) => answers.value(row, ADAPTIVE, "worst"));
      const measured = rows.map((row, i) => `${row.split(/[-/]/)[2]} ${significant(worst[i] as number)}`).join(", ");
      return { measured, met: worst.every((ratio) => ratio <= MOST_OVERHEAD) };
    },
  };
}

export const overlap: readonly Target[] = [hides("send", "sender"), hides("recv", "receiver")];
