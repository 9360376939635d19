// The clock that all processes share.

/** CLOCK_MONOTONIC, in nanoseconds. */
export function now(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e9 + nanoseconds;
}
