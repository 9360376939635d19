// The program of test/doorbells.test.ts: what every doorbell must do, one behaviour after the other in one world of three, and what a
// rank whose doorbell does not work is told. Rank 2 takes bodies through the ring, the others read them. What a computing or sleeping receiver
// must not need is shown by order: it goes on only when it was told what came of it.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { release } from "node:os";
import { World } from "carillon";
import { bytes, random, rejects, same, say, settled } from "./scenario.mjs";

const [name, ...words] = process.argv.slice(2);
const MIB = 1 << 20;
/** Of messages that only say how far a rank is. */
const META = 1000;

let world;
const others = () => Array.from({ length: world.size }, (_, i) => i).filter((each) => each !== world.rank);
const tell = (dest, value = null) => world.send(value, { dest, tag: META });
const heard = async (source) => (await world.recv({ source, tag: META })).value;
const shared = (length) => new Uint8Array(new SharedArrayBuffer(length));
/** Before Linux 6.9 the kernel chooses which thread of a process takes a signal: nearly always the main one. */
const [major, minor] = release().split(".").map(Number);
const REACHES_THREADS = major > 6 || (major === 6 && minor >= 9);
const INTERRUPTING = ["signal", "uintr", "uintr-simulated"];

/** Computes until native code has written the last byte, and says what handlers did meanwhile. */
function computeUntil(into) {
  const before = world.stats();
  while (Atomics.load(into, into.length - 1) === 0);
  const after = world.stats();
  const since = (key) => after[key] - before[key];
  return { runs: since("handlerRuns"), onMainThread: since("handlerRunsOnMainThread"), handled: since("handled") };
}

/** What is sent to a rank that does not return to its loop, and the word that lets it go: sent when all of it has settled. */
async function sendToBusy(dest) {
  assert.equal((await heard(dest)).ready, true);
  // What it had offered before.
  same((await world.recv({ source: dest, tag: 3 })).data, bytes(MIB, 3), "its own");
  await world.send(bytes(MIB, 1), { dest, tag: 1, synchronous: true });
  await world.send(bytes(9000, 2), { dest, tag: 1, synchronous: true });
  for (let i = 0; i < 100; ++i) await world.send("", { dest, tag: 2, synchronous: true });
  await world.send(Uint8Array.of(1), { dest, tag: 4 });
}

/** The same as its receiver: `stays` comes back when the last byte of what it is given was written. */
async function receiveBusy(source, stays) {
  const large = shared(MIB);
  const small = shared(9000);
  const over = shared(1);
  const receives = [
    world.recv({ source, tag: 1, into: large }),
    world.recv({ source, tag: 1, into: small }),
    ...Array.from({ length: 100 }, () => world.recv({ source, tag: 2 })),
    world.recv({ source, tag: 4, into: over }),
  ];
  const own = world.send(bytes(MIB, 3), { dest: source, tag: 3 });
  await tell(source, { ready: true });
  const found = stays(over);
  await Promise.all([...receives, own]);
  same(large, bytes(MIB, 1), "large");
  same(small, bytes(9000, 2), "small");
  return found;
}

const behaviours = {
  /** Nothing overtakes within (source, tag), whatever the sizes, how they are received and how many ranks talk. */
  async order() {
    const sizes = [4, 100, 9000, 16_000, 16_004, 60_000, 300_000];
    const tags = [0, 1];
    const count = 40;
    const next = random(world.rank + 1);
    const body = (from, tag, i) => {
      const length = sizes[(i * 3 + from + tag + (i >> 3)) % sizes.length];
      return new Int32Array(length / 4).fill(from * 10_000 + tag * 1000 + i);
    };
    const sending = others().flatMap((dest) =>
      tags.map(async (tag) => {
        const ahead = [];
        for (let i = 0; i < count; ++i) {
          const synchronous = next() < 0.2;
          ahead.push(world.send(body(world.rank, tag, i), { dest, tag, synchronous }));
          if (ahead.length >= 8) await ahead.shift();
        }
        await Promise.all(ahead);
      }),
    );
    const receiving = others().flatMap((source) =>
      tags.map(async (tag) => {
        for (let i = 0; i < count; ++i) {
          const into = i % 3 === 0 ? shared(300_000) : undefined;
          const { data } = await world.recv({ source, tag, into });
          const expected = body(source, tag, i);
          same(data, new Uint8Array(expected.buffer), `message ${i} of ${source}, tag ${tag}`);
        }
      }),
    );
    await Promise.all([...sending, ...receiving]);
  },

  /** Receives from anybody, of anything: in order for each sender and tag, every message once. */
  async wildcards() {
    const count = 100;
    const tags = [3, 4, 5];
    if (world.rank !== 0) {
      const sends = [];
      for (let i = 0; i < count; ++i) {
        for (const tag of tags) sends.push(world.send(bytes(i % 9 === 0 ? 40_000 : 50, i + tag), { dest: 0, tag }));
      }
      await Promise.all(sends);
      return;
    }
    const seen = new Map();
    const take = (message) => {
      const { source, tag } = message;
      const i = seen.get(`${source} ${tag}`) ?? 0;
      seen.set(`${source} ${tag}`, i + 1);
      same(message.data, bytes(i % 9 === 0 ? 40_000 : 50, i + tag), `message ${i} of ${source}, tag ${tag}`);
    };
    for (let i = 0; i < count; ++i) {
      take(await world.recv({ tag: tags[i % 3] }));
      take(await world.recv({ source: 1 + (i % 2) }));
    }
    for (let left = (world.size - 1) * tags.length * count - 2 * count; left > 0; --left) take(await world.recv());
    assert.deepEqual([...seen.values()], Array((world.size - 1) * tags.length).fill(count));
    assert.ok(!world.tryMprobe());
  },

  /** Every way a body can travel, around the ring of ranks. */
  async protocols() {
    const dest = (world.rank + 1) % world.size;
    const source = (world.rank + world.size - 1) % world.size;
    const lease = world.allocate(MIB);
    lease.data.set(bytes(MIB, 7));
    const ways = [
      { payload: bytes(9000, 1), expected: bytes(9000, 1) },
      { payload: bytes(8, 2), expected: bytes(8, 2), synchronous: true },
      { payload: bytes(MIB, 3), expected: bytes(MIB, 3) },
      { payload: bytes(MIB, 4), expected: bytes(MIB, 4), into: shared(MIB) },
      { payload: bytes(300_000, 5), expected: bytes(300_000, 5), into: new Uint8Array(300_000), synchronous: true },
      { payload: [bytes(16, 6), bytes(MIB, 6)], expected: bytes(MIB, 6), value: ([, second]) => second },
      { payload: lease, expected: bytes(MIB, 7) },
    ];
    const before = world.stats();
    for (const { payload, expected, synchronous, into, value } of ways) {
      const sent = world.send(payload, { dest, synchronous });
      const message = await world.recv({ source, into });
      await sent;
      same(
        value ? value(message.value) : message.data,
        expected,
        `way ${ways.findIndex((way) => way.payload === payload)}`,
      );
    }
    const since = (key) => world.stats()[key] - before[key];
    assert.ok(since("eagerSent") >= 1 && since("offersSent") >= 5, "eager and offered");
    assert.equal(since("leasesLent"), 1);
    if (dest === 2) assert.ok(since("pushed") >= 3, "through the ring");
  },

  /** JavaScript computes, in one receiver that reads bodies and in one that takes them in packets. */
  async busy() {
    for (const busy of [1, 2]) {
      if (world.rank === 0) {
        await sendToBusy(busy);
      } else if (world.rank === busy) {
        const { runs, onMainThread, handled } = await receiveBusy(0, computeUntil);
        if (INTERRUPTING.includes(world.doorbell)) {
          const found = `${runs} runs, ${onMainThread} on the main thread, ${handled} made progress`;
          assert.ok(runs > 0 && handled > 0, found);
          if (process.env.CARILLON_INTERRUPTS === "progress") assert.equal(onMainThread, 0, found);
          else if (REACHES_THREADS) assert.equal(onMainThread, runs, found);
          else assert.ok(onMainThread > 0, found);
        } else {
          assert.deepEqual([runs, handled], [0, 0]);
        }
      }
    }
  },

  /** The loop is blocked in epoll whenever a message comes, as the kernel says of its thread. */
  async asleep() {
    if (world.rank === 0) {
      const pids = [await heard(1), await heard(2)];
      for (let i = 0; i < 10; ++i) {
        for (const dest of [1, 2]) {
          // Not between two turns of its loop only.
          for (let looks = 0; looks < 20; looks = isAsleep(pids[dest - 1]) ? looks + 1 : 0) await settled();
          const body = bytes([10, 15_000, 200_000][i % 3], i);
          await world.send(body, { dest, tag: 1, synchronous: i % 2 === 0 });
          same((await world.recv({ source: dest, tag: 1 })).data, body);
        }
      }
    } else {
      await tell(0, process.pid);
      for (let i = 0; i < 10; ++i) {
        const message = await world.recv({ source: 0, tag: 1 });
        await world.send(message.data, { dest: 0, tag: 1 });
      }
    }
  },

  /** JavaScript waits for another thread, here for native code. */
  async waiting() {
    if (world.rank === 0) await sendToBusy(1);
    if (world.rank !== 1) return;
    const never = new Int32Array(new SharedArrayBuffer(4));
    await receiveBusy(0, (over) => {
      while (Atomics.load(over, 0) === 0) Atomics.wait(never, 0, 0, 5);
    });
  },

  /** JavaScript sits in a synchronous system call that ends when the sender says that its send has settled. */
  async inSystemCall() {
    if (world.rank === 0) {
      const server = createServer();
      server.listen(`\0${DOOR}`);
      await once(server, "listening");
      await tell(1);
      const [socket] = await once(server, "connection");
      await once(socket, "data");
      const body = bytes(MIB, 8);
      const start = performance.now();
      await world.send(body, { dest: 1, tag: 1, synchronous: true });
      say({ milliseconds: performance.now() - start });
      socket.end("settled");
      server.close();
    } else if (world.rank === 1) {
      await heard(0);
      const receive = world.recv({ source: 0, tag: 1, into: shared(MIB) });
      const found = execFileSync(process.execPath, ["-e", STAYS, DOOR], { encoding: "utf8" });
      assert.equal(found, "settled");
      same((await receive).data, bytes(MIB, 8));
    }
  },

  /** Rank 2 is killed while it computes: what only it could do ends, and nothing else. */
  async killed() {
    const small = 20;
    if (world.rank === 2) {
      for (const dest of [0, 1]) {
        for (let i = 0; i < small; ++i) await world.send(bytes(1000, i), { dest, tag: 1 });
        world.send(bytes(MIB), { dest, tag: 2 }).catch(() => {});
        await tell(dest);
      }
      say({ victim: true });
      for (;;);
    }
    await heard(2);
    const peer = 1 - world.rank;
    const anybody = world.recv({ tag: 6 });
    const needs = [
      world.recv({ source: 2, tag: 5 }),
      world.send("", { dest: 2, tag: 5, synchronous: true }),
      world.send(bytes(MIB), { dest: 2, tag: 5 }),
    ];
    const lost = Promise.all(needs.map((each) => rejects(each, "ERR_CARILLON_PEER_LOST")));
    await tell(peer); // nothing of it has ended yet: rank 2 is killed when both have said so
    await heard(peer);
    assert.deepEqual(
      needs.map((each) => each.state),
      ["pending", "pending", "pending"],
    );
    say({ needy: true });
    for (const error of await lost) assert.equal(error.rank, 2);
    for (let i = 0; i < small; ++i)
      same((await world.recv({ source: 2, tag: 1 })).data, bytes(1000, i), `before it died, ${i}`);
    await rejects(world.recv({ source: 2, tag: 2 }), "ERR_CARILLON_PEER_LOST");
    assert.equal(anybody.state, "pending");
    await tell(peer);
    await heard(peer);
    await world.send(bytes(MIB, 9), { dest: peer, tag: 6 });
    same((await anybody).data, bytes(MIB, 9));
  },

  /** Rank 1 has nothing more to do: what it sent is received, then nobody waits for it. */
  async ended() {
    const count = 50;
    if (world.rank === 1) {
      await heard(0);
      for (let i = 0; i < count; ++i) await world.send(bytes(i * 300, i), { dest: 0, tag: 1 });
      process.exit(0);
    }
    if (world.rank !== 0) return;
    const needs = [world.recv({ source: 1, tag: 2 }), world.send("", { dest: 1, tag: 2, synchronous: true })];
    const closed = Promise.all(needs.map((each) => rejects(each, "ERR_CARILLON_PEER_CLOSED")));
    await tell(1);
    for (const error of await closed) assert.equal(error.rank, 1);
    for (let i = 0; i < count; ++i)
      same((await world.recv({ source: 1, tag: 1 })).data, bytes(i * 300, i), `message ${i}`);
    await rejects(world.recv({ source: 1, tag: 1 }), "ERR_CARILLON_PEER_CLOSED");
  },
};

const DOOR = `carillon-doorbells-${process.env.CARILLON_JOB}`;
/** Says that it runs, stays until it is told something, and says what. */
const STAYS = `
  require("node:net").connect("\\0" + process.argv[1], function () { this.write("here"); }).pipe(process.stdout);
`;

function isAsleep(pid) {
  const stat = readFileSync(`/proc/${pid}/task/${pid}/stat`, "latin1");
  return stat.slice(stat.lastIndexOf(")") + 2).startsWith("S");
}

const programs = {
  /** All behaviours, each when all have done the one before. */
  async conformance() {
    const rendezvous = process.env.CARILLON_RANK === "2" ? "ring" : "auto";
    world = await World.join({ rendezvous });
    say({ doorbell: world.doorbell });
    for (const [behaviour, play] of Object.entries(behaviours)) {
      await play();
      say({ [behaviour]: true });
      if (behaviour !== "killed" && behaviour !== "ended") await world.barrier();
    }
    await world.close();
  },

  /** A world of one where a doorbell was asked for that does not work: the reason, and then another try. */
  async refused(option, variable) {
    if (variable !== undefined) process.env.CARILLON_DOORBELL = variable;
    const error = await World.join(option === "" ? {} : { doorbell: option }).then(
      () => assert.fail("it joined"),
      (reason) => reason,
    );
    say({ code: error.code, message: error.message });
    delete process.env.CARILLON_DOORBELL;
    world = await World.join();
    say({ doorbell: world.doorbell });
    await world.close();
  },

  /** Each rank is rung in its own way. */
  async mixed() {
    world = await World.join({ doorbell: words[Number(process.env.CARILLON_RANK)] });
    say({ doorbell: world.doorbell });
    await behaviours.order();
    await world.barrier();
    for (let busy = 0; busy < world.size; ++busy) {
      const source = (busy + 1) % world.size;
      if (world.rank === source) await sendToBusy(busy);
      if (world.rank === busy) await receiveBusy(source, computeUntil);
      await world.barrier();
    }
    await world.close();
  },
};

await programs[name](...words);
