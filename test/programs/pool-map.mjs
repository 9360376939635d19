// Scenarios of test/pool-map.test.ts: streams of tasks, how much of a source they take, in which order, and how they end. The tasks are in
// pool-map-tasks.mjs.
import assert from "node:assert/strict";
import { inspect } from "node:util";
import { ComputePool } from "carillon/pool";
import { firstValueFrom, from, lastValueFrom, Observable, Subject, take, toArray } from "rxjs";
import { bytes, play, rejects, settled } from "./scenario.mjs";

const filename = new URL("./pool-map-tasks.mjs", import.meta.url);
const threads = (world, count, options = {}) =>
  new ComputePool(world, { filename, minThreads: count, maxThreads: count, ...options });
const counter = () => new Int32Array(new SharedArrayBuffer(4));
const range = (count) => Array.from({ length: count }, (_, n) => n);

function open(gate, to) {
  Atomics.store(gate, 0, to);
  Atomics.notify(gate, 0);
}

async function until(holds) {
  while (!holds()) await settled();
}

/** As much of what is under way as can happen has happened: other tasks come and go meanwhile. */
async function quiet() {
  for (let i = 0; i < 20; ++i) await settled();
}

/** A source that says what was taken of it, and that it was stopped. */
class Source {
  taken = 0;
  stopped = 0;
  constructor(values) {
    this.values = values;
  }
  async *[Symbol.asyncIterator]() {
    try {
      for await (const value of this.values) {
        this.taken++;
        yield value;
      }
    } finally {
      this.stopped++;
    }
  }
}

async function all(results) {
  const found = [];
  for await (const result of results) found.push(result);
  return found;
}

const scenarios = {
  async sources(world) {
    const pool = threads(world, 2);
    const doubled = range(20).map((n) => 2 * n);
    const later = (n) => new Promise((resolve) => setImmediate(resolve, n));
    const inputs = [
      range(20),
      new Set(range(20)),
      range(20).map(later),
      new Source(range(20)),
      from(range(20)),
      from(range(20).map(later)).pipe((source) => source),
    ];
    // What came of promises in an Observable is promises, which cannot be cloned.
    inputs.pop();
    for (const source of inputs) assert.deepEqual(await all(pool.map(source, "double")), doubled);
    for (const source of inputs.slice(0, 1)) {
      assert.deepEqual(await lastValueFrom(pool.map(source, "double").pipe(toArray())), doubled);
    }
    assert.deepEqual(await all(pool.map([], "double")), []);
    const results = pool.map(range(3), "double", { concurrency: 5, ordered: false });
    assert.equal(inspect(results), "ResultStream { pool-map-tasks.mjs, double, concurrency: 5, unordered }");
    assert.ok(results instanceof Observable);
    // Cold: twice is twice.
    assert.deepEqual((await all(results)).sort(), [0, 2, 4]);
    assert.deepEqual((await all(results)).sort(), [0, 2, 4]);
    assert.equal(pool.completed, 20 * inputs.length + 20 + 6);
    for (const [source, task, options] of [
      [7],
      [null],
      [{}],
      [[], 7],
      [[], "double", { concurrency: 0 }],
      [[], "double", { concurrency: 1.5 }],
      [[], "double", { ordered: 1 }],
      [[], "double", { signal: {} }],
      [[], "double", null],
    ]) {
      assert.throws(() => pool.map(source, task, options), { code: "ERR_CARILLON_INVALID_ARGUMENT" });
    }
    assert.throws(() => pool.map([], "double", { filename: "nowhere.mjs" }), { code: "ERR_CARILLON_LAUNCH_FAILED" });
    await pool.destroy();
  },

  async order(world) {
    const pool = threads(world, 3);
    // The first of three ends last: it waits for the gate that the last result opens.
    for (const ordered of [true, false]) {
      const [gate, begun] = [counter(), counter()];
      open(gate, -1);
      const order = [5, -1, -1, -1].map((n) => ({ n, gate, begun }));
      const iterator = pool.map(order, undefined, { ordered })[Symbol.asyncIterator]();
      const found = [];
      if (ordered) {
        const first = iterator.next();
        await until(() => begun[0] === 3);
        open(gate, 5);
        found.push((await first).value.n);
      } else {
        for (let i = 0; i < 3; ++i) found.push((await iterator.next()).value.n);
        open(gate, 5);
      }
      for (let each = await iterator.next(); !each.done; each = await iterator.next()) found.push(each.value.n);
      assert.deepEqual(found, ordered ? [5, -1, -1, -1] : [-1, -1, -1, 5]);
    }
    await pool.destroy();
  },

  /** No more in hand than was asked for: running, or done and not had. */
  async bound(world) {
    const pool = threads(world, 2);
    for (const ordered of [true, false]) {
      for (const concurrency of [1, 2, 5]) {
        const [gate, begun] = [counter(), counter()];
        const source = new Source(range(12).map((n) => ({ n: n + 1, gate, begun })));
        const results = pool.map(source, undefined, { concurrency, ordered });
        await quiet();
        assert.equal(source.taken, 0); // nobody has asked
        const iterator = results[Symbol.asyncIterator]();
        const first = iterator.next();
        await until(() => source.taken === concurrency);
        await quiet();
        assert.equal(source.taken, concurrency); // the tasks are slow
        open(gate, 1000);
        await first;
        await until(() => source.taken === concurrency + 1);
        await until(() => begun[0] === concurrency + 1);
        await quiet();
        assert.equal(source.taken, concurrency + 1); // nobody asks for the results
        for (let had = 2; had <= 12; ++had) {
          assert.equal((await iterator.next()).done, false);
          await quiet();
          assert.equal(source.taken, Math.min(12, had + concurrency));
        }
        assert.equal((await iterator.next()).done, true);
        assert.equal((await iterator.next()).done, true);
        assert.equal(source.stopped, 1);
      }
    }
    await pool.destroy();
  },

  /** Messages that nobody takes stay with their sender, and what a stream gives back is received. */
  async "back-pressure"(world) {
    const COUNT = 30;
    const MOST = 5; // in hand, and one more that the stream has taken and not handed out
    if (world.rank === 0) {
      let left = 0;
      for (let n = 0; n < COUNT; ++n) {
        await world.send({ n, body: bytes(20_000, n) }, { dest: 1, tag: 3, synchronous: true });
        await world.send(++left, { dest: 1, tag: 4 });
      }
      return;
    }
    const pool = threads(world, 2);
    const gate = counter();
    await Promise.all([1, 2, 3, 4].map(() => pool.run(gate, { name: "guard" })));
    let left = 0;
    const counting = world.messages({ tag: 4 }).subscribe(({ value }) => {
      left = value;
    });
    // The second and third in each thread's hands.
    const iterator = pool
      .map(world.messages({ tag: 3, byteCapacity: 1024 }), "read", { concurrency: MOST - 1 })
      [Symbol.asyncIterator]();
    assert.equal((await iterator.next()).value.n, 0);
    await until(() => left >= MOST - 1);
    await quiet();
    assert.ok(left <= MOST + 1, `${left} have left`);
    for (let n = 1; n < 10; ++n) {
      open(gate, n);
      const { value } = await iterator.next();
      assert.deepEqual(value, { n, bytes: 20_000, first: bytes(20_000, n)[0], source: 0, tag: 3 });
      assert.ok(left <= n + MOST + 1, `${left} have left, ${n} were had`);
    }
    open(gate, 1000);
    await iterator.return();
    // In hand were at most so many; all others are still to be had, in order.
    const next = (await world.recv({ tag: 3 })).value.n;
    assert.ok(next > 9 && next <= 10 + MOST - 1, `${next} is next`);
    for (let n = next + 1; n < COUNT; ++n) assert.equal((await world.recv({ tag: 3 })).value.n, n);
    await until(() => left === COUNT);
    counting.unsubscribe();
    await pool.destroy();
  },

  /** From every kind of memory, some thousand, as Observable and iterated; answered by the threads. */
  async messages(world) {
    const COUNT = 300;
    const sizes = [0, 30, 3000, 40_000, 200_000];
    const body = (n) => bytes(sizes[n % sizes.length], n);
    if (world.rank === 0) {
      for (const tag of [1, 2]) {
        for (let n = 0; n < COUNT; ++n) await world.send({ n, body: body(n) }, { dest: 1, tag });
        await world.recv({ source: 1, tag });
      }
      for (let n = 0; n < 100; ++n) {
        await world.send(n, { dest: 1, tag: 3 });
        assert.equal((await world.recv({ source: 1, tag: 3 })).value, n + 1);
      }
      return;
    }
    const pool = threads(world, 2);
    let n = 0;
    const check = (found) => {
      const expected = body(n);
      assert.deepEqual([found.n, found.bytes, found.first], [n, expected.length, expected[0]]);
      n++;
    };
    for await (const found of pool.map(world.messages({ tag: 1 }), "read", { concurrency: 3 })) {
      check(found);
      if (n === COUNT) break;
    }
    await world.send("done", { dest: 0, tag: 1 });
    n = 0;
    await lastValueFrom(pool.map(world.messages({ tag: 2 }), "read").pipe(take(COUNT), toArray())).then((found) =>
      found.forEach(check),
    );
    await world.send("done", { dest: 0, tag: 2 });
    let answered = 0;
    for await (const value of pool.map(world.messages({ source: 0, tag: 3 }), "answer")) {
      assert.equal(value, answered++);
      if (answered === 100) break;
    }
    await pool.destroy();
  },

  /** A queue goes on where a mapping of it has stopped, also one that waited. */
  async queue(world) {
    if (world.rank === 0) {
      for (let n = 0; n < 10; ++n) await world.send(n, { dest: 1, tag: 5 });
      await world.recv({ source: 1, tag: 5 });
      for (let n = 10; n < 13; ++n) await world.send(n, { dest: 1, tag: 5 });
      return;
    }
    const pool = threads(world, 2);
    const queue = world.queue({ source: 0, tag: 5, byteCapacity: 4096 });
    const iterator = pool.map(queue, "decoded")[Symbol.asyncIterator]();
    for (let n = 0; n < 10; ++n) assert.deepEqual(await iterator.next(), { value: n, done: false });
    const waiting = iterator.next();
    await quiet();
    await iterator.return();
    assert.deepEqual(await waiting, { value: undefined, done: true });
    await world.send("stopped", { dest: 0, tag: 5 });
    for (let n = 10; n < 13; ++n) assert.equal((await queue.takeAsync()).value, n);
    queue.close();
    assert.deepEqual(await all(pool.map(queue, "decoded")), []);
    await pool.destroy();
  },

  async fails(world) {
    const pool = threads(world, 2);
    // A task.
    for (const ordered of [true, false]) {
      const [gate, begun] = [counter(), counter()];
      open(gate, 1000);
      const source = new Source(range(100).map((n) => ({ n, gate, begun, fails: n === 4 })));
      const found = [];
      const failing = (async () => {
        for await (const { n } of pool.map(source, undefined, { ordered })) found.push(n);
      })();
      await assert.rejects(failing, { name: "RangeError", message: "4 fails" });
      if (ordered) assert.deepEqual(found, [0, 1, 2, 3]);
      else assert.ok(!found.includes(4));
      assert.equal(source.stopped, 1);
      // Not ordered, the other thread may go on for as long as the one with the failure does not come to it.
      if (ordered) assert.ok(source.taken <= 6, `${source.taken} were taken`);
      let reason;
      pool.map(source, undefined, { ordered }).subscribe({ error: (error) => (reason = error) });
      await until(() => reason);
      assert.equal(reason.message, "4 fails");
    }
    // The later of two first, while the first still runs: the one in front is what is told.
    const [gate, begun] = [counter(), counter()];
    const both = [1, 0].map((n) => ({ n, gate, begun, fails: true }));
    const iterator = pool.map(both)[Symbol.asyncIterator]();
    const first = iterator.next();
    await until(() => begun[0] === 2);
    await quiet();
    open(gate, 1);
    await assert.rejects(first, { message: "1 fails" });
    assert.deepEqual(await iterator.next(), { value: undefined, done: true });
    // The source, when all before it are had.
    const broken = async function* () {
      yield 1;
      yield 2;
      throw new TypeError("no more");
    };
    const found = [];
    const failing = (async () => {
      for await (const n of pool.map(broken(), "double")) found.push(n);
    })();
    await assert.rejects(failing, { message: "no more" });
    assert.deepEqual(found, [2, 4]);
    const subject = new Subject();
    const last = firstValueFrom(pool.map(subject, "double").pipe(toArray()));
    subject.next(1);
    subject.error(new TypeError("nothing more"));
    await assert.rejects(last, { message: "nothing more" });
    const hostile = {
      [Symbol.asyncIterator]() {
        throw new TypeError("no iterator");
      },
    };
    await assert.rejects(all(pool.map(hostile, "double")), { message: "no iterator" });
    // None of this cost a thread.
    assert.equal(pool.threads.length, 2);
    await pool.destroy();
    // What cannot be cloned; what does not exist; a pool that ends.
    const other = threads(world, 1);
    await assert.rejects(all(other.map([() => {}])), { name: "DataCloneError" });
    await rejects(all(other.map([1], "nowhere")), "ERR_CARILLON_INVALID_ARGUMENT");
    const [shut, there] = [counter(), counter()];
    const ended = assert.rejects(all(other.map([{ n: 1, gate: shut, begun: there }])), /terminat/i);
    await until(() => there[0] === 1);
    await other.destroy();
    await ended;
  },

  async stops(world) {
    const pool = threads(world, 2);
    const ids = () => pool.threads.map(({ threadId }) => threadId).sort();
    const threadIds = ids();
    for (const how of ["break", "unsubscribe", "return while waiting"]) {
      const [gate, begun] = [counter(), counter()];
      const tasks = range(100).map((n) => ({ n, gate, begun }));
      // Waits for more when all are taken: as a stream would.
      const source = new Source(
        (async function* () {
          yield* tasks;
        })(),
      );
      const results = pool.map(source, undefined, { concurrency: 6 });
      if (how === "break") {
        for await (const { n } of results) {
          assert.equal(n, 0);
          break;
        }
      } else if (how === "unsubscribe") {
        let had = 0;
        const subscription = results.subscribe(() => {
          if (++had === 1) subscription.unsubscribe();
        });
        await until(() => had === 1);
      } else {
        const iterator = results[Symbol.asyncIterator]();
        await iterator.next();
        const waiting = iterator.next();
        await iterator.return();
        assert.deepEqual(await waiting, { value: undefined, done: true });
      }
      await until(() => source.stopped === 1);
      assert.ok(source.taken <= 7, `${source.taken} were taken`);
      // Those that run finish, those in line are never begun; the threads are the same.
      open(gate, 1000);
      await pool.run({ n: 0, gate, begun: counter() });
      assert.ok(begun[0] <= 3, `${begun[0]} were begun`);
      assert.deepEqual(ids(), threadIds);
    }
    // A source that never says anything does not hold up who stops.
    const silent = pool.map(
      (async function* () {
        yield 1;
        await new Promise(() => {});
      })(),
      "double",
    );
    for await (const n of silent) {
      assert.equal(n, 2);
      break;
    }
    await pool.destroy();
  },

  /** A signal ends tasks that run, and their threads. */
  async aborts(world) {
    const pool = threads(world, 2);
    const reason = new Error("enough");
    for (const how of ["iterate", "subscribe"]) {
      const [gate, begun] = [counter(), counter()];
      const source = new Source(range(100).map((n) => ({ n, gate, begun })));
      const controller = new AbortController();
      const results = pool.map(source, undefined, { concurrency: 12, signal: controller.signal });
      let found;
      if (how === "iterate") {
        found = all(results).catch((error) => error);
      } else {
        found = lastValueFrom(results).catch((error) => error);
      }
      // The first is through, the next two are in a thread each.
      await until(() => begun[0] === 3);
      controller.abort(reason);
      assert.equal(await found, reason);
      await until(() => source.stopped === 1);
      assert.equal(begun[0], 3);
      // In place of the threads that were terminated there are others.
      assert.deepEqual(await all(pool.map([1, 2, 3], "double")), [2, 4, 6]);
      assert.equal(await all(results).catch((error) => error), reason);
    }
    await pool.destroy();
  },
};

await play(scenarios);
