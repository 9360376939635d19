// How the tests run: each file in a process of its own, results also as JSON where .ci/run asks for them.
// Not responsible for building: `npm test` builds first.
import { defineConfig } from "vitest/config";

// Each start of Node.js, of which there are some thousand, would read all the certificates that this names (45 ms here).
delete process.env.NODE_EXTRA_CA_CERTS;

const report = process.env.CARILLON_TEST_REPORT;

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 2, // most of the time a test waits for processes, and never for time alone
    // Tests start real processes: on a busy machine these limits only end what hangs.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: report ? ["default", ["json", { outputFile: report }]] : ["default"],
  },
});
