// What the figures must show. Ratios are made within one run and one placement; a missed target is news, not an error.
import type { Target } from "../harness/verdict.js";
import { doorbells } from "./doorbells.js";
import { latency } from "./latency.js";
import { overlap } from "./overlap.js";
import { scale } from "./scale.js";
import { throughput } from "./throughput.js";

export const targets: readonly Target[] = [...latency, ...throughput, ...overlap, ...doorbells, ...scale];
