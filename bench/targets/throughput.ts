// What must be shown of many messages and of long ones.
import { ratio, significant } from "../harness/format.js";
import type { Target } from "../harness/verdict.js";
import { leasePeer } from "../rows/lease.js";
import { POOL_ROW } from "../rows/pool.js";
import { ADAPTIVE, faster } from "./judges.js";

const RATE = "rate-64B/threads-apart";
const BANDWIDTH = "bandwidth-1MiB/apart";
const MILLIONS_PER_SECOND = 1.5;
const LEASE_NS = 20e3;
const LEASE_MEBIBYTES = [1, 16, 64, 256];
const POOL_SHARE = 0.95;
/** Two medians that differ by no more than this do not depend on the size. */
const FLAT = 2;

export const throughput: readonly Target[] = [
  {
    id: "rate",
    target: `64 B one way, two cores, awaiting each: ≥ ${MILLIONS_PER_SECOND} M/s`,
    judge(answers) {
      const rate = answers.value(RATE, ADAPTIVE, "millionsPerSecond");
      return { measured: `${significant(rate)} M/s`, met: rate >= MILLIONS_PER_SECOND };
    },
  },
  {
    id: "rate-callback",
    target: `64 B one way, two cores, to a callback: ≥ ${2 * MILLIONS_PER_SECOND} M/s`,
    judge(answers) {
      const rate = answers.value(RATE, "carillon-callback", "millionsPerSecond");
      return { measured: `${significant(rate)} M/s`, met: rate >= 2 * MILLIONS_PER_SECOND };
    },
  },
  {
    id: "rate-stream",
    target: `64 B one way, two cores, to a stream's subscriber: ≥ ${2 * MILLIONS_PER_SECOND} M/s`,
    judge(answers) {
      const rate = answers.value(RATE, "carillon-subscribe", "millionsPerSecond");
      return { measured: `${significant(rate)} M/s`, met: rate >= 2 * MILLIONS_PER_SECOND };
    },
  },
  faster(
    "rate-stream-socket",
    "64 B one way, two cores, to a stream's subscriber: ≥ 3× the UNIX socket, unframed",
    RATE,
    "carillon-subscribe",
    3,
    ["unix-socket-raw"],
  ),
  faster("rate-socket", "64 B one way, two cores: ≥ 1.5× the UNIX socket, unframed", RATE, ADAPTIVE, 1.5, [
    "unix-socket-raw",
  ]),
  faster("bandwidth-memcpy", "1 MiB, shared memory: ≥ 0.5 of memcpy", BANDWIDTH, ADAPTIVE, 0.5, ["c-memcpy"]),
  faster("bandwidth-allocated", "1 MiB, from world.allocate: ≥ 0.5 of memcpy", BANDWIDTH, "carillon-allocated", 0.5, [
    "c-memcpy",
  ]),
  faster("bandwidth-socket", "1 MiB, shared memory: ≥ 4× the UNIX socket", BANDWIDTH, ADAPTIVE, 4, ["unix-socket"]),
  faster("bandwidth-ordinary", "1 MiB, ordinary memory: ≥ 0.3 of memcpy", BANDWIDTH, "carillon-ordinary", 0.3, [
    "c-memcpy",
  ]),
  {
    id: "lease",
    target: "Leased memory, native hand-over: < 20 µs, flat from 1 to 256 MiB",
    judge(answers) {
      const times = LEASE_MEBIBYTES.map((size) => answers.value("lease-hand-over", leasePeer(size), "handOverNs"));
      const slowest = Math.max(...times);
      const spread = slowest / Math.min(...times);
      const measured = `${times.map((ns) => significant(ns / 1e3)).join(", ")} µs (slowest ${ratio(spread)} the fastest)`;
      return { measured, met: slowest < LEASE_NS && spread <= FLAT };
    },
  },
  {
    id: "pool",
    target: `A pool's throughput while messages come: ≥ ${POOL_SHARE} of that without`,
    judge(answers) {
      const ratios = answers.ran(POOL_ROW).map(({ values }) => values?.ratio ?? Number.NaN);
      const measured = answers
        .ran(POOL_ROW)
        .map(({ name, values }) => `${values?.ratio?.toFixed(3)} (${name})`)
        .join(", ");
      return { measured, met: ratios.length > 0 && ratios.every((ratio) => ratio >= POOL_SHARE) };
    },
  },
];
