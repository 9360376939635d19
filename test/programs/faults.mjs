// Scenarios of test/faults.test.ts: rank 0 survives while others are killed in mid-transfer, stopped and continued.
import assert from "node:assert/strict";
import { World } from "carillon";
import { heard, random, say } from "./scenario.mjs";

const [name, ...words] = process.argv.slice(2);
const world = await World.join();
const next = random(world.rank + 1);
const SIZES = [8, 300, 9000, 60_000, 250_000, 900_000, 5_000_000];
const sizeOf = (i) => SIZES[(i * 5) % SIZES.length];

/** The bytes of message i of a rank: cheap to make, and a torn one is seen. */
function body(i, size = sizeOf(i)) {
  return new Float64Array(Math.ceil(size / 8)).fill(i);
}

function check(message, i) {
  const { value } = message;
  assert.equal(value.byteLength, body(i).byteLength);
  assert.ok(
    value.every((each) => each === i),
    `message ${i} from ${message.source} is torn`,
  );
}

const INTO = [() => undefined, () => new ArrayBuffer(5_000_008), () => new SharedArrayBuffer(5_000_008)];

/** Sends and receives until the peer is lost; what it counted is right up to then. */
async function survive(peer, sends, receives) {
  const lost = (error) => {
    assert.equal(error.code, "ERR_CARILLON_PEER_LOST", error.stack);
    assert.equal(error.rank, peer);
  };
  const sending = async (tag) => {
    for (let i = 0; ; ++i) await world.send(body(i), { dest: peer, tag, synchronous: i % 7 === 0 });
  };
  const receiving = async (tag) => {
    const into = INTO[Math.floor(next() * 3)]();
    for (let i = 0; ; ++i) check(await world.recv({ source: peer, tag, into }), i);
  };
  const lines = [];
  for (let tag = 0; tag < sends; ++tag) lines.push(sending(tag).catch(lost));
  for (let tag = 0; tag < receives; ++tag) lines.push(receiving(tag).catch(lost));
  await Promise.all(lines);
}

const scenarios = {
  /** Rank 0 talks to everybody; the others talk to rank 0 until they are killed. The last rank stays. */
  async killed(sends, receives) {
    const last = world.size - 1;
    const [down, up] = [Number(sends), Number(receives)];
    if (world.rank === 0) {
      const anybody = world.recv({ tag: 99 });
      const all = [];
      for (let peer = 1; peer < last; ++peer) all.push(survive(peer, down, up));
      say({ started: true });
      await Promise.all(all);
      // The one that was left alone noticed nothing.
      assert.equal(anybody.state, "pending");
      await world.send("end", { dest: last, tag: 1 });
      assert.equal((await anybody).source, last);
      await world.close();
    } else if (world.rank < last) {
      const lines = [];
      const into = INTO[world.rank % 3]();
      for (let tag = 0; tag < down; ++tag) {
        lines.push(
          (async () => {
            for (let i = 0; ; ++i) check(await world.recv({ source: 0, tag, into: down === 1 ? into : undefined }), i);
          })(),
        );
      }
      for (let tag = 0; tag < up; ++tag) {
        lines.push(
          (async () => {
            for (let i = 0; ; ++i) await world.send(body(i), { dest: 0, tag });
          })(),
        );
      }
      say({ started: true });
      await Promise.all(lines);
    } else {
      say({ started: true });
      await world.recv({ source: 0, tag: 1 });
      await world.send("all well", { dest: 0, tag: 99 });
      await world.close();
    }
  },

  /** Rank 1 is stopped and continued while both exchange: it is only slow. */
  async stopped() {
    const peer = 1 - world.rank;
    const count = 120;
    const sending = (async () => {
      for (let i = 0; i < count; ++i) {
        await world.send(body(i), { dest: peer });
        if (i === 20) say({ running: true });
      }
    })();
    for (let i = 0; i < count; ++i) {
      check(await world.recv({ source: peer }), i);
      // The test stops it from here on; what is said next it says after it was continued.
      if (world.rank === 1 && i === 60) await heard();
    }
    await sending;
    await world.close();
  },
};

await scenarios[name](...words);
