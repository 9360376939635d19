// Scenarios of test/faults.test.ts: rank 0 survives while others are killed in mid-transfer, stopped and continued.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { World } from "carillon";
import { heard, same, say, settled } from "./scenario.mjs";

const [name, ...words] = process.argv.slice(2);

const holdings = () => ({
  descriptors: readdirSync("/proc/self/fd").length,
  segments: readFileSync("/proc/self/maps", "latin1").match(/memfd:carillon/g)?.length ?? 0,
  threads: readdirSync("/proc/self/task").length,
});

/** What this process has when it is in no world but has been in one: some things are had once a process. */
async function baseline() {
  const { CARILLON_JOB, CARILLON_RANK, CARILLON_SIZE } = process.env;
  const job = { CARILLON_JOB, CARILLON_RANK, CARILLON_SIZE };
  for (const key of Object.keys(job)) delete process.env[key];
  await (await World.join()).close();
  await settled();
  Object.assign(process.env, job);
  return holdings();
}

const before = await baseline();
const world = await World.join();

/** Of the messages of one protocol: their sizes, how they are sent and received, and what holds the receiver up. */
const PROTOCOLS = [
  { name: "eager", sizes: [8, 300, 9000], ahead: 20 },
  { name: "eager, in line", sizes: [12_000, 15_000], ahead: 200, slow: true },
  { name: "into nothing", sizes: [60_000, 250_000, 2_000_000] },
  { name: "into ordinary memory", sizes: [400, 60_000, 900_000], into: () => new ArrayBuffer(900_000) },
  { name: "into shared memory", sizes: [400, 60_000, 900_000], into: () => new SharedArrayBuffer(900_000) },
  { name: "synchronous", sizes: [8, 9000, 100_000], synchronous: true },
  { name: "gathered", sizes: [90, 9000, 300_000], parts: 3 },
];
const LARGEST = 2_000_000;

/** Message i of a protocol: its number, and bytes that depend on that and on their place, so that a torn one is seen. */
const pattern = new Uint8Array(LARGEST + 256);
for (let i = 0; i < pattern.length; ++i) pattern[i] = (i * 31) ^ (i >> 8) ^ (i >> 16);
const partsOf = ({ sizes, parts = 1 }, i) => {
  const part = Math.floor(sizes[(i * 5) % sizes.length] / parts);
  return Array.from({ length: parts }, (_, k) => {
    const start = ((i + k) % 8) * 8;
    const bytes = pattern.slice(start, start + part);
    new DataView(bytes.buffer).setUint32(0, i);
    return bytes;
  });
};

/** The number of a message that is what it should be. */
function check(message, protocol) {
  const found = protocol.parts ? message.value : [message.data];
  const i = new DataView(found[0].buffer, found[0].byteOffset).getUint32(0);
  const expected = partsOf(protocol, i);
  assert.equal(found.length, expected.length);
  for (const [k, each] of found.entries()) {
    same(each, expected[k], `message ${i} (${protocol.name}) from ${message.source}`);
  }
  return i;
}

/** Everything this rank sends to a peer by one protocol, until it is lost. */
async function sending(peer, protocol) {
  const { ahead = 2, synchronous = false } = protocol;
  const tag = PROTOCOLS.indexOf(protocol);
  const window = [];
  for (let i = 0; ; ++i) {
    const parts = partsOf(protocol, i);
    const send = world.send(protocol.parts ? parts : parts[0], { dest: peer, tag, synchronous });
    send.catch(() => {});
    window.push(send);
    if (window.length >= ahead) await window.shift();
    if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Everything that comes, in order; when the peer has died, without what it could not hand over. */
async function receiving(peer, protocol) {
  const into = protocol.into?.();
  const tag = PROTOCOLS.indexOf(protocol);
  for (let expected = 0; ; ) {
    const i = check(await world.recv({ source: peer, tag, into }), protocol);
    assert.ok(i >= expected, `message ${i} (${protocol.name}) from ${peer} after ${expected - 1}`);
    expected = i + 1;
    if (protocol.slow) await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Talks to a peer in these directions until it is lost: every request ends so, and none before. */
async function survive(peer, directions) {
  const lost = (error) => {
    assert.equal(error.code, "ERR_CARILLON_PEER_LOST", error.stack);
    assert.equal(error.rank, peer);
  };
  const lines = directions.flatMap((each) => PROTOCOLS.map((protocol) => each(peer, protocol).catch(lost)));
  await Promise.all(lines);
  for (const request of [world.send(1, { dest: peer }), world.recv({ source: peer, tag: 99 })]) {
    await request.then(() => assert.fail("a request to a dead rank was fulfilled"), lost);
  }
}

const DIRECTIONS = { sends: [receiving], receives: [sending], both: [sending, receiving] };
const OPPOSITE = { sends: [sending], receives: [receiving], both: [sending, receiving] };

const scenarios = {
  /**
   * Ranks 1 to size - 2 are killed one by one while they send to rank 0, receive from it, or both. Rank 0 and the last
   * rank go on talking to each other all the time; nothing is left in them when they have closed.
   */
  async killed(what) {
    const last = world.size - 1;
    const victims = Array.from({ length: last - 1 }, (_, i) => i + 1);
    if (victims.includes(world.rank)) {
      say({ started: true });
      await Promise.all(OPPOSITE[what].flatMap((each) => PROTOCOLS.map((protocol) => each(0, protocol))));
      return;
    }
    const peer = last - world.rank;
    let over = false;
    const anybody = world.recv({ tag: 99 });
    const talking = (async () => {
      // Odd numbers end it: one side says when, the other answers.
      for (let i = 0; ; ++i) {
        const ends = world.rank === 0 && over;
        const sent = world.send(new Float64Array(1 + ((i * 977) % 40_000)).fill(ends ? -1 : i), {
          dest: peer,
          tag: 98,
        });
        const { value } = await world.recv({ source: peer, tag: 98 });
        await sent;
        assert.ok(value.every((each) => each === value[0]) && (value[0] === i || value[0] === -1));
        if (ends || value[0] === -1) return i;
      }
    })();
    say({ started: true });
    if (world.rank === 0) {
      await Promise.all(victims.map((each) => survive(each, DIRECTIONS[what])));
      assert.equal(anybody.state, "pending", "a receive that anybody can answer ended");
      over = true;
    }
    say({ rounds: await talking });
    await world.send("end", { dest: peer, tag: 99 });
    assert.equal((await anybody).source, peer);
    await world.close();
    await settled();
    assert.deepEqual(holdings(), before, "left over");
  },

  /** Three ranks exchange, each with each other by itself, whoever is stopped meanwhile, until the test ends it. */
  async stopped() {
    let over = false;
    const told = heard().then(() => {
      over = true;
    });
    const exchange = async (peer) => {
      for (let i = 0; ; ++i) {
        const ends = world.rank < peer && over;
        const requests = PROTOCOLS.flatMap((protocol, tag) => {
          const parts = partsOf(protocol, i);
          const options = { dest: peer, tag, synchronous: protocol.synchronous === true };
          const receive = world.recv({ source: peer, tag, into: protocol.into?.() });
          return [
            world.send(protocol.parts ? parts : parts[0], options),
            receive.then((each) => assert.equal(check(each, protocol), i)),
          ];
        });
        await Promise.all([world.send(ends, { dest: peer, tag: 98 }), ...requests]);
        say({ [`${peer}: ${i}`]: true });
        if ((await world.recv({ source: peer, tag: 98 })).value || ends) return;
      }
    };
    const others = Array.from({ length: world.size }, (_, i) => i).filter((each) => each !== world.rank);
    await Promise.all([told, ...others.map(exchange)]);
    await world.close();
  },
};

await scenarios[name](...words);
