// Tests that take long for what they add on one machine: played where CARILLON_TEST_ALL is set, as `npm run test:all` and CI do,
// and named as skipped elsewhere, so that `npm test` stays a matter of minutes.
import { test } from "vitest";

export const thorough: typeof test = process.env.CARILLON_TEST_ALL ? test : (test.skip as typeof test);
