// Scenarios of test/flow.test.ts: thousands of messages of all sizes at once, in order, whoever is slow to receive them.
import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { ANY_SOURCE } from "carillon";
import { bytes, play, random, same, say } from "./scenario.mjs";

const MANY = 100_000;

await play({
  /** Mixed sizes in both directions at once, a receive for each tag and wildcards: nothing overtakes. */
  async order(world, seed) {
    const tags = 4;
    const count = 3000;
    const peer = 1 - world.rank;
    const plan = (rank) => {
      const next = random(Number(seed) * 2 + rank);
      const sequence = new Array(tags).fill(0);
      return Array.from({ length: count }, () => {
        const tag = Math.floor(next() * tags);
        const kind = next();
        const size =
          8 + Math.floor(next() * (kind < 0.7 ? 200 : kind < 0.9 ? 20_000 : kind < 0.99 ? 100_000 : 700_000));
        return { tag, size, synchronous: next() < 0.05, number: sequence[tag]++ };
      });
    };
    const body = ({ size, number, tag }) => {
      const data = bytes(size, number + tag);
      new DataView(data.buffer).setUint32(0, number);
      return data;
    };
    const sending = async () => {
      const pending = new Set();
      for (const each of plan(world.rank)) {
        const options = { dest: peer, tag: each.tag, synchronous: each.synchronous };
        const send = world.send(body(each), options).then(() => pending.delete(send));
        pending.add(send);
        if (pending.size > 40) await Promise.race(pending);
      }
      await Promise.all(pending);
    };
    const expected = plan(peer);
    const check = (message, each) => {
      assert.equal(new DataView(message.data.buffer, message.data.byteOffset).getUint32(0), each.number, "order");
      same(message.data, body(each), `message ${each.number} of tag ${each.tag}`);
    };
    const byTag = async (tag) => {
      for (const each of expected.filter((one) => one.tag === tag))
        check(await world.recv({ source: peer, tag }), each);
    };
    const anyTag = async () => {
      const left = Array.from({ length: tags }, (_, tag) => expected.filter((each) => each.tag === tag));
      const window = [];
      for (let i = 0; i < count; ++i) {
        while (window.length < 8 && i + window.length < count) window.push(world.recv({ source: peer }));
        const message = await window.shift();
        check(message, left[message.tag].shift());
      }
    };
    const receiving = world.rank === 0 ? Promise.all([0, 1, 2, 3].map(byTag)) : anyTag();
    await Promise.all([sending(), receiving]);
  },

  /** More than the receiver takes: its quota fills, sends wait in line, and all of it arrives in order. */
  async unreceived(world) {
    if (world.rank === 0) {
      const sends = [];
      for (let i = 0; i < MANY; ++i) sends.push(world.send(i, { dest: 1 }));
      await world.send("all sent", { dest: 1, tag: 1 });
      await Promise.all(sends);
    } else {
      // Tag 1 comes last in line, so all the others are there, or held back by their sender.
      const last = world.recv({ source: 0, tag: 1 });
      for (let i = 0; i < MANY; ++i) assert.equal((await world.recv({ source: 0, tag: 0 })).value, i);
      await last;
    }
  },

  /** Large eager messages that nobody receives spend the quota; what is awaited then waits for its receiver only. */
  async quota(world) {
    const count = 400;
    if (world.rank === 0) {
      const sends = [];
      for (let i = 0; i < count; ++i) sends.push(world.send(bytes(10_000 + i, i), { dest: 1 }));
      // Nobody takes any until the first has become an offer, which needs the ring to be emptied meanwhile.
      while (world.stats().offersSent === 0) await setImmediate();
      await world.send("", { dest: 1, tag: 1 });
      await world.recv({ source: 1, tag: 9 });
      await Promise.all(sends);
      say({ offers: world.stats().offersSent });
    } else {
      await world.recv({ source: 0, tag: 1 });
      for (let i = count; i-- > 0; ) {
        if (i === count / 2) await world.send("", { dest: 0, tag: 9 });
        same((await world.recv({ source: 0, tag: 0 })).data, bytes(10_000 + count - 1 - i, count - 1 - i));
      }
    }
  },

  /** Large bodies, several at a time: how many were pushed? */
  async pushed(world) {
    const count = 20;
    const body = (i) => bytes(100_000 + i * 7919, i);
    if (world.rank === 0) {
      await Promise.all(Array.from({ length: count }, (_, i) => world.send(body(i), { dest: 1, tag: i % 3 })));
      say({ pushed: world.stats().pushed });
    } else {
      const receives = Array.from({ length: count }, (_, i) => world.recv({ source: 0, tag: i % 3 }));
      for (const [i, message] of (await Promise.all(receives)).entries()) same(message.data, body(i), `message ${i}`);
    }
  },

  /** Both flood each other before either receives. */
  async flood(world) {
    const peer = 1 - world.rank;
    const count = 20_000;
    const sends = [];
    const size = (i) => 8 * (1 + ((i * 31) % 200));
    for (let i = 0; i < count; ++i) sends.push(world.send(new Float64Array(size(i) / 8).fill(i), { dest: peer }));
    for (let i = 0; i < count; ++i) {
      const { value } = await world.recv({ source: peer });
      assert.deepEqual([value.byteLength, value[0], value.at(-1)], [size(i), i, i]);
    }
    await Promise.all(sends);
  },

  /** Everybody sends everything to everybody, oneself included, and receives only then. */
  async allToAll(world) {
    const count = 60;
    const size = (from, to, i) => ((from * 31 + to * 17 + i * 7919) % 23) ** 4;
    const sends = [];
    for (let i = 0; i < count; ++i) {
      for (let dest = 0; dest < world.size; ++dest) {
        sends.push(world.send(bytes(size(world.rank, dest, i), i), { dest, tag: i % 5 }));
      }
    }
    const next = Array.from({ length: world.size }, () => [0, 1, 2, 3, 4]);
    for (let left = count * world.size; left > 0; --left) {
      const message = await world.recv();
      const i = next[message.source][message.tag];
      next[message.source][message.tag] += 5;
      same(message.data, bytes(size(message.source, world.rank, i), i), `${i} from ${message.source}`);
    }
    await Promise.all(sends);
  },

  /** So many of one tag that nobody awaits, then one of another: it is received first, then the others in order. */
  async behind(world, many, size, anySource) {
    const count = Number(many);
    const source = anySource === "any" ? ANY_SOURCE : 0;
    const body = (i) => (Number(size) > 8 ? new Float64Array(Number(size) / 8).fill(i) : i);
    if (world.rank === 0) {
      // They leave in order, so that the last of each tag stands for all; one that fails is an unhandled rejection.
      let sent;
      for (let i = 0; i < count; ++i) sent = world.send(body(i), { dest: 1, tag: 1 });
      await world.send("the last", { dest: 1, tag: 2 });
      await sent;
    } else {
      assert.equal((await world.recv({ source, tag: 2 })).value, "the last");
      for (let i = 0; i < count; ++i) {
        const { value } = await world.recv({ source, tag: 1 });
        assert.ok(Number(size) > 8 ? value[0] === i && value.at(-1) === i : value === i, `message ${i}`);
      }
    }
  },

  /** A tag of its own for each of so many messages, and the last is received first. */
  async tags(world, many) {
    const count = Number(many);
    if (world.rank === 0) {
      const sends = [];
      for (let tag = 0; tag <= count; ++tag) sends.push(world.send(bytes(900, tag), { dest: 1, tag }));
      await Promise.all(sends);
    } else {
      for (let tag = count; tag >= 0; --tag) same((await world.recv({ source: 0, tag })).data, bytes(900, tag));
    }
  },

  /**
   * Ranks 0 and 1 send rank 2 what it does not take, each send awaited; meanwhile rank 2 talks with both under other tags
   * and they with each other. Its memory stays bounded, and theirs.
   */
  async bounded(world, total) {
    const size = 15_000;
    const count = Math.floor(Number(total) / size);
    const resident = () => process.memoryUsage.rss();
    const talk = async (peer, tag, rounds) => {
      for (let i = 0; i < rounds; ++i) {
        const sent = world.send(bytes(2000, i), { dest: peer, tag });
        same((await world.recv({ source: peer, tag })).data, bytes(2000, i));
        await sent;
      }
    };
    bytes(1);
    const others = [0, 1, 2].filter((each) => each !== world.rank);
    await Promise.all(others.map((each) => talk(each, 5, 500)));
    const before = resident();
    let most = 0;
    const stuck = async () => {
      for (let i = 0; i < count; ++i) await world.send(bytes(size, i), { dest: 2, tag: 1 });
    };
    const sending = world.rank === 2 ? undefined : stuck();
    for (let round = 0; round < 20; ++round) {
      const rounds = Promise.all(others.map((each) => talk(each, 6, 100)));
      await rounds;
      most = Math.max(most, resident() - before);
    }
    say({ grew: most });
    if (world.rank === 2) {
      for (const source of [0, 1]) {
        for (let i = 0; i < count; ++i) same((await world.recv({ source, tag: 1 })).data, bytes(size, i));
      }
    }
    await sending;
  },

  /** All send to all before anybody receives, in sizes of every protocol, until much more is on its way than may wait. */
  async allLate(world) {
    const sizes = [8, 3000, 16_000, 300_000];
    const count = 144;
    const sends = [];
    for (let i = 0; i < count; ++i) {
      for (let dest = 0; dest < world.size; ++dest) {
        if (dest !== world.rank) sends.push(world.send(bytes(sizes[i % 4], i), { dest, tag: i % 3 }));
      }
    }
    for (let i = count; i-- > 0; ) {
      const at = Math.floor((count - 1 - i) / 3);
      const tag = (count - 1 - i) % 3;
      for (let source = 0; source < world.size; ++source) {
        if (source === world.rank) continue;
        const number = at * 3 + tag;
        same((await world.recv({ source, tag })).data, bytes(sizes[number % 4], number), `${number} from ${source}`);
      }
    }
    await Promise.all(sends);
  },
});
