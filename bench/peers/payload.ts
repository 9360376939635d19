// What the workloads send, the same for every peer, and the check that what came back is what was sent: nothing is
// measured that does not work.

export const MEBIBYTE = 2 ** 20;

export interface Frame {
  step: number;
  grid: Float64Array;
}

export function makeFrame(): Frame {
  return { step: 0, grid: Float64Array.from({ length: 1_000 }, (_, i) => Math.sin(i)) };
}

export const TEXT =
  "Interrupt-driven message passing: a message rings its receiver; nobody stands at the door and polls."
    .padEnd(100, ".")
    .slice(0, 100);

export function checkStep(sent: number, received: number | undefined): void {
  if (sent !== received) throw new Error(`another answer than asked for: sent ${sent}, received ${received}`);
}
