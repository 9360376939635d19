// Workers that never join: threads of rank 1 answer the other ranks' requests out of a message queue in shared memory.
//
// Native code fills the queue, whatever the main thread does. Every rank but rank 1 sends blocks of sound, some at a time, gets them
// back with an echo, and checks that.
//
//     carillon run -n 3 dist/examples/echo-worker/main.js --workers 2
import { Worker } from "node:worker_threads";
import { World } from "carillon";
import { runExample, UsageError } from "../common/command-line.js";
import { addEcho, tone } from "./echo.js";
import { type Options, parseOptions } from "./options.js";
import type { Answer } from "./worker.js";

/** The rank whose workers answer. */
const ECHO = 1;
/** Requests that a rank has under way. */
const UNDER_WAY = 16;

await using world = await World.join();
await runExample("echo-worker", world, async () => {
  const options = parseOptions(process.argv.slice(2));
  if (world.size < 2) {
    throw new UsageError("needs at least 2 ranks, for rank 1 answers the others: carillon run -n 2 …");
  }
  await (world.rank === ECHO ? answer(options) : ask(options));
});

/** Rank 1: hands the queue to its workers, sends what they post. Over when the last other rank has left. */
async function answer({ workers, samples }: Options): Promise<void> {
  // From anybody, with any tag. While eight blocks wait in it, the next ones wait at their senders.
  const queue = world.queue({ byteCapacity: 8 * samples * Float32Array.BYTES_PER_ELEMENT });
  const echoed = await Promise.all(
    Array.from({ length: workers }, async () => {
      let count = 0;
      const worker = new Worker(new URL("./worker.js", import.meta.url), { workerData: queue.buffer });
      worker.on("message", ({ dest, tag, sound }: Answer) => {
        count++;
        // Not awaited, as nobody asks for more than UNDER_WAY at a time. A failure is this rank's: an unhandled rejection.
        void world.send(sound, { dest, tag });
      });
      await new Promise((resolve, reject) => worker.once("exit", resolve).once("error", reject));
      return count;
    }),
  );
  const total = echoed.reduce((sum, count) => sum + count, 0);
  const threads = `${workers} worker thread${workers === 1 ? "" : "s"} that never joined`;
  console.log(`rank 1: echoed ${total} blocks in ${threads}: ${echoed.join(" + ")}`);
}

/** Every other rank: a request's number is its tag, and its answer's. */
async function ask({ requests, samples }: Options): Promise<void> {
  let next = 0;
  let wrong = 0;
  await Promise.all(
    Array.from({ length: UNDER_WAY }, async () => {
      for (let tag = next++; tag < requests; tag = next++) {
        const sound = tone(samples, tag);
        const answer = world.recv<Float32Array>({ source: ECHO, tag });
        await world.send(sound, { dest: ECHO, tag });
        const { value } = await answer;
        addEcho(sound);
        if (value.length !== samples || !value.every((sample, i) => sample === sound[i])) wrong++;
      }
    }),
  );
  const verdict = wrong === 0 ? "each with the echo that belongs to it" : `${wrong} of them WRONG`;
  console.log(`rank ${world.rank}: ${requests} blocks of ${samples} samples came back, ${verdict}`);
  if (wrong > 0) process.exitCode = 1;
}
