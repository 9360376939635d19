// Scenarios of test/uintr.test.ts: rank 1 is rung by (simulated) user interrupts while its JavaScript runs, waits in a system call, or has gone.
import assert from "node:assert/strict";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { World } from "carillon";
import { play, same } from "./scenario.mjs";

const now = () => Number(process.hrtime.bigint() / 1000n);

function compute(us) {
  const start = now();
  while (now() - start < us);
}

const several = 20;

/** Rank 0 sends what must ring at once; rank 1 does something else meanwhile, and says when it had done it. */
async function whileItIs(world, doing, after) {
  if (world.rank === 0) {
    await world.recv({ source: 1, tag: 1 });
    await world.send("go", { dest: 1, tag: 4 });
    compute(20_000); // until it is at it
    const sent = [];
    for (let i = 0; i < several; ++i) {
      await world.send(new Uint8Array([i]), { dest: 1, tag: 2, synchronous: true });
      sent.push(now());
      compute(2_000);
    }
    await world.send(new Float64Array(sent), { dest: 1, tag: 3 });
  } else {
    const received = Array.from({ length: several }, () => world.recv({ source: 0, tag: 2 }));
    const go = world.recv({ source: 0, tag: 4 });
    await world.send("now", { dest: 0, tag: 1 });
    await go; // and does it at once, without another word to native code
    doing();
    const until = now();
    for (const [i, receive] of received.entries()) same((await receive).data, new Uint8Array([i]));
    const sent = (await world.recv({ source: 0, tag: 3 })).value;
    assert.ok(sent[0] < until, `nothing was taken before ${until}, the first at ${sent[0]}`);
    after(world.stats());
  }
}

const scenarios = {
  async computes(world) {
    await whileItIs(
      world,
      () => compute(800_000),
      (stats) => {
        assert.equal(world.doorbell, process.env.CARILLON_DOORBELL);
        assert.ok(stats.handlerRuns > 0 && stats.handled > 0, JSON.stringify(stats));
        assert.equal(stats.handlerRunsOnMainThread, stats.handlerRuns);
      },
    );
    if (world.rank === 0) assert.ok(world.stats().interrupts > 0, JSON.stringify(world.stats()));
  },

  /** What arrives then is left to the progress thread, by the escalation. */
  async isInASystemCall(world) {
    await whileItIs(
      world,
      () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 800),
      (stats) => assert.ok(stats.withheld > 0, JSON.stringify(stats)),
    );
  },

  async isInterruptedOnTheProgressThread(world) {
    await whileItIs(
      world,
      () => compute(800_000),
      (stats) => assert.equal(stats.handlerRuns, 0),
    );
  },
};

/** Rank 1's first thread ends; its second goes on, and is reached by the bell. */
async function outlivesItsFirstThread() {
  if (process.env.CARILLON_RANK === "0") {
    const world = await World.join();
    for (let i = 0; i < 200; ++i) {
      await world.recv({ source: 1, tag: 1 });
      await world.send(i, { dest: 1, tag: 2, synchronous: true });
    }
    await world.close();
    return;
  }
  const worker = new Worker(fileURLToPath(import.meta.url), { argv: ["worker"] });
  await once(worker, "message");
  const world = await World.join();
  const ask = async (times) => {
    for (let i = 0; i < times; ++i) {
      const receive = world.recv({ source: 0, tag: 2 });
      await world.send(i, { dest: 0, tag: 1 });
      if (i % 10 === 0) compute(3_000);
      await receive;
    }
  };
  await ask(100);
  const runs = world.stats().handlerRuns;
  assert.ok(runs > 0, JSON.stringify(world.stats()));
  assert.equal(world.stats().handlerRunsOnMainThread, 0);
  await worker.terminate();
  const then = world.stats().handlerRuns;
  assert.ok(then >= runs);
  await ask(100);
  assert.equal(world.stats().handlerRuns, then);
  await world.close();
}

if (!isMainThread) {
  const world = await World.join();
  parentPort.postMessage("joined");
  void world.recv({ source: 0, tag: 99 }); // keeps it
  // Terminated in the middle of a computation that interrupts reach.
  setImmediate(function again() {
    compute(5_000);
    setImmediate(again);
  });
} else if (process.argv[2] === "outlivesItsFirstThread") {
  await outlivesItsFirstThread();
} else {
  await play(scenarios);
}
