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

/** Bytes of the short messages that go one way. */
export const SHORT_BYTES = 64;
/** What comes to a rank whose pool computes (rows/pool.ts); the short ones have SHORT_BYTES. */
export const FLOW = { shortPerSecond: 1_000, longPerSecond: 10, longBytes: 2 ** 20 } as const;
/** How many long messages are on their way at once: while one is received the next is prepared. */
export const WINDOW = 2;

/** The number behind the colon of a workload. */
export function bytesOf(workload: string): number {
  return Number(workload.split(":")[1]);
}

export function isBulk(workload: string): boolean {
  return workload.startsWith("bulk:");
}

/** The first and the last byte say which message it is: half a message is found out. */
export function mark(body: Uint8Array, i: number): void {
  body[0] = i & 255;
  body[body.length - 1] = i & 255;
}

export function checkMark(body: Uint8Array, bytes: number, i: number): void {
  checkStep(bytes, body.length);
  checkStep(i & 255, body[0]);
  checkStep(i & 255, body[bytes - 1]);
}

export function checkStep(sent: number, received: number | undefined): void {
  if (sent !== received) throw new Error(`another answer than asked for: sent ${sent}, received ${received}`);
}
