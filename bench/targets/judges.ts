// How a target is judged that several rows have: one peer's median held against others' in the same row. Not responsible for
// what the targets are (the files beside this one).
import { ratio, significant } from "../harness/format.js";
import type { Target } from "../harness/verdict.js";

export const RIVALS = ["ipc-json", "ipc-advanced", "unix-socket", "zeromq-ipc"];
export const ADAPTIVE = "carillon-adaptive";
export const BLOCK = "carillon-block";
export const MEDIAN = "medianNs";

/** At least `times` faster than the fastest of some peers; fewer than one: at least that share of its speed. */
export function faster(
  id: string,
  target: string,
  row: string,
  peer: string,
  times: number,
  rivals: readonly string[] = RIVALS,
): Target {
  return {
    id,
    target,
    judge(answers) {
      const own = answers.value(row, peer, MEDIAN);
      const { result, value } = answers.fastest(row, rivals, MEDIAN);
      const measured = `${ratio(value / own)} (${significant(own / 1e3)} µs; ${result.name} ${significant(value / 1e3)} µs)`;
      return { measured, met: value / own >= times };
    },
  };
}

/** At most `times` as long as another peer. */
export function within(id: string, target: string, row: string, peer: string, other: string, times: number): Target {
  return {
    id,
    target,
    judge(answers) {
      const own = answers.value(row, peer, MEDIAN);
      const bound = answers.value(row, other, MEDIAN);
      const measured = `${ratio(own / bound)} (${significant(own / 1e3)} µs; ${significant(bound / 1e3)} µs)`;
      return { measured, met: own / bound <= times };
    },
  };
}
