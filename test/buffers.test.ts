// Memory that goes away in flight: what was sent arrives as it was; what was to be received into is told so; nobody
// crashes. That memory which can be resized is refused from the start: test/bad-input.test.ts.
import { test } from "vitest";
import { ranks } from "./support/ranks.js";

const PROGRAM = "buffers.mjs";

test.each([1, 2])("`into` is transferred at a random moment, 100 times (seed %i)", async (seed) => {
  await ranks(2, PROGRAM, ["receiving", "100", String(seed)]).endedWell();
});

test.each([1, 2])("what is being sent is transferred at a random moment, 100 times (seed %i)", async (seed) => {
  await ranks(2, PROGRAM, ["sending", "100", String(seed)]).endedWell();
});
