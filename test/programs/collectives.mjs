// Scenarios of test/collectives.test.ts: every collective against a plain computation of the same, and its failures.
import assert from "node:assert/strict";
import { heard, nothingOutstanding, play, random, rejects, say, TYPED_ARRAYS } from "./scenario.mjs";

const isBig = (Type) => Type === BigInt64Array || Type === BigUint64Array;
const isFloat = (Type) => Type === Float32Array || Type === Float64Array;

/** Every rank draws the same, so that each knows what the others have. */
function drawn(seed) {
  const next = random(seed);
  for (let i = 0; i < 5; ++i) next();
  const below = (most) => Math.floor(next() * most);
  return { next, below, pick: (all) => all[below(all.length)] };
}

function length({ next, below }) {
  const kind = below(10);
  if (kind < 5) return below(20);
  return kind < 9 ? below(4000) : Math.floor(next() * 40_000);
}

const SCALES = [1, 10, 100, 1e3, 1e4, 1e5];

/** From one draw: every rank makes what all of them have. */
function array(Type, size, { next }) {
  const made = new Type(size);
  const words = isBig(Type) ? new Uint32Array(made.buffer) : made;
  const float = isFloat(Type);
  const mask = Type.BYTES_PER_ELEMENT === 1 ? 0xff : -1;
  let state = (next() * 2 ** 32) | 0;
  for (let i = 0; i < words.length; ++i) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    const drawn = state ^ (state >>> 13);
    words[i] = float ? (drawn / 2 ** 32) * SCALES[(state >>> 24) % SCALES.length] : drawn & mask;
  }
  return made;
}

/** Anything that can be sent. */
function value(draw) {
  switch (draw.below(9)) {
    case 0:
      return draw.below(1e6) / 7;
    case 1:
      return "é".repeat(length(draw));
    case 2:
      return undefined;
    case 3:
      return { step: draw.below(9), grid: array(Float64Array, length(draw), draw) };
    case 4:
      return [array(Uint8Array, draw.below(50), draw), array(Int32Array, length(draw), draw)];
    case 5:
      return array(draw.pick(TYPED_ARRAYS), length(draw), draw).buffer;
    case 6:
      return [1, "two", new Map([[3, [4n]]])];
    default:
      return array(draw.pick(TYPED_ARRAYS), length(draw), draw);
  }
}

const sorted = (a, b) => (a < b ? [a, b] : [b, a]);

const operations = {
  sum: (a, b) => a + b,
  product: (a, b) => a * b,
  min: (a, b) => (typeof a === "bigint" ? sorted(a, b)[0] : Math.min(a, b)),
  max: (a, b) => (typeof a === "bigint" ? sorted(a, b)[1] : Math.max(a, b)),
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  land: (a, b) => (typeof a === "bigint" ? BigInt(a !== 0n && b !== 0n) : Number(a !== 0 && b !== 0)),
  lor: (a, b) => (typeof a === "bigint" ? BigInt(a !== 0n || b !== 0n) : Number(a !== 0 || b !== 0)),
};

/** By the documented scheme: pairs fold first, then neighbouring blocks. */
function combined(parts, combine) {
  let power = 1;
  while (power * 2 <= parts.length) power *= 2;
  const pairs = parts.length - power;
  let blocks = [];
  for (let i = 0; i < pairs; ++i) blocks.push(combine(parts[2 * i], parts[2 * i + 1]));
  blocks.push(...parts.slice(2 * pairs));
  while (blocks.length > 1) {
    blocks = Array.from({ length: blocks.length / 2 }, (_, i) => combine(blocks[2 * i], blocks[2 * i + 1]));
  }
  return blocks[0];
}

function elementwise(operation, exact) {
  return (a, b) => {
    const result = new a.constructor(a.length);
    for (let i = 0; i < a.length; ++i) {
      // A product of 32-bit integers is no exact number.
      result[i] = exact ? Math.imul(a[i], b[i]) : operation(a[i], b[i]);
    }
    return result;
  };
}

const rounds = {
  async barrier(world) {
    await world.barrier();
  },
  async broadcast(world, draw) {
    const root = draw.below(world.size);
    const expected = value(draw);
    assert.deepEqual(await world.broadcast(world.rank === root ? expected : "ignored", { root }), expected);
  },
  async gather(world, draw) {
    const root = draw.below(world.size);
    const all = Array.from({ length: world.size }, () => value(draw));
    const expected = world.rank === root ? all : undefined;
    assert.deepEqual(await world.gather(all[world.rank], { root }), expected);
  },
  async scatter(world, draw) {
    const root = draw.below(world.size);
    const all = Array.from({ length: world.size }, () => value(draw));
    assert.deepEqual(await world.scatter(world.rank === root ? all : undefined, { root }), all[world.rank]);
  },
  async allgather(world, draw) {
    const all = Array.from({ length: world.size }, () => value(draw));
    assert.deepEqual(await world.allgather(all[world.rank]), all);
  },
  async alltoall(world, draw) {
    const { rank, size } = world;
    const all = Array.from({ length: size }, () => Array.from({ length: size }, () => value(draw)));
    const expected = all.map((values) => values[rank]);
    assert.deepEqual(await world.alltoall(all[rank]), expected);
  },
  async reductions(world, draw) {
    const { rank, size } = world;
    const Type = draw.pick(TYPED_ARRAYS);
    const names = Object.keys(operations).filter((name) => !isFloat(Type) || !["and", "or", "xor"].includes(name));
    const name = draw.pick(names);
    const count = length(draw);
    const all = Array.from({ length: size }, () => array(Type, count, draw));
    const exact = name === "product" && (Type === Int32Array || Type === Uint32Array);
    const expected = combined(all, elementwise(operations[name], exact));
    const root = draw.below(size);
    const asFunction = !exact && draw.below(3) === 0;
    const op = asFunction ? operations[name] : name;
    const mine = all[rank].slice();
    const target = [undefined, mine, new Type(count)][draw.below(3)];
    const found = await world.allreduce(mine, { op, ...(target && { into: target }) });
    assert.deepEqual(found, expected, `allreduce ${name}`);
    if (target) assert.equal(found, target);
    if (target !== mine) assert.deepEqual(mine, all[rank], "data is not changed");
    const again = await world.reduce(all[rank], { op, root });
    assert.deepEqual(again, rank === root ? expected : undefined, `reduce ${name}`);
  },
  async scalars(world, draw) {
    const { rank, size } = world;
    const name = draw.pick(Object.keys(operations));
    const all = Array.from({ length: size }, () => (draw.below(4) === 0 ? 0 : draw.below(2 ** 31) - 2 ** 30));
    const root = draw.below(size);
    assert.equal(await world.allreduce(all[rank], { op: name }), combined(all, operations[name]));
    const big = all.map(BigInt);
    assert.equal(
      await world.reduce(big[rank], { op: name, root }),
      rank === root ? combined(big, operations[name]) : undefined,
    );
    // Neither commutative nor a number: the order of ranks is kept.
    const words = all.map((n) => `${n};`);
    assert.equal(await world.allreduce(words[rank], { op: (a, b) => a + b }), words.join(""));
    assert.equal(
      await world.reduce(words[rank], { op: (a, b) => a + b, root }),
      rank === root ? words.join("") : undefined,
    );
  },
};
rounds.allreduceLong = async (world, draw) => {
  const count = 16_000 + draw.below(30_000);
  const all = Array.from({ length: world.size }, () => array(Float64Array, count, draw));
  const expected = combined(all, elementwise(operations.sum));
  assert.deepEqual(await world.allreduce(all[world.rank], { op: "sum" }), expected);
};

const LARGE = new Float64Array(60_000);
const ENDLESS = 1e9;

/** Each collective with values that must wait for their receiver, and whether all members depend on all others. */
const large = {
  barrier: (world) => world.barrier(),
  broadcast: (world) => world.broadcast(LARGE, { root: 1 }),
  gather: (world) => world.gather(LARGE, { root: 1 }),
  scatter: (world) => world.scatter(Array(world.size).fill(LARGE), { root: 1 }),
  allgather: (world) => world.allgather(LARGE),
  alltoall: (world) => world.alltoall(Array(world.size).fill(LARGE)),
  reduce: (world) => world.reduce(LARGE, { op: "sum", root: 1 }),
  allreduce: (world) => world.allreduce(LARGE, { op: "sum" }),
  allreduceShort: (world) => world.allreduce(1, { op: "sum" }),
};

await play({
  /** Random values, the collectives one after the other. */
  async model(world, seed, count) {
    for (const [name, round] of Object.entries(rounds)) {
      for (let i = 0; i < Number(count); ++i) {
        try {
          await round(world, drawn(Number(seed) * 1000 + i));
        } catch (error) {
          error.message = `${name} ${i}: ${error.message}`;
          throw error;
        }
      }
    }
    await nothingOutstanding(world);
  },

  /** Nobody leaves a barrier before everybody has come. */
  async barrier(world) {
    for (let i = 0; i < 200; ++i) {
      const late = i % world.size;
      if (world.rank === late) {
        await Promise.all(others(world).map((dest) => world.send(i, { dest, tag: 1 })));
        await world.barrier();
      } else {
        const through = world.barrier();
        // What the late one sent before it came is here when this rank is through.
        await through;
        const first = await world.recv({ source: late, tag: 1, signal: AbortSignal.timeout(60_000) });
        assert.equal(first.value, i);
      }
    }
  },

  /** Many in flight at once, and the user's own messages among them. */
  async together(world) {
    const { rank, size } = world;
    const user = world.recv({ tag: 0, source: (rank + 1) % size });
    const all = [];
    for (let i = 0; i < 100; ++i) {
      all.push(
        world.allreduce(rank + i, { op: "sum" }).then((sum) => assert.equal(sum, size * i + (size * (size - 1)) / 2)),
        world.broadcast(i, { root: i % size }).then((value) => assert.equal(value, i)),
        world.barrier(),
        world.alltoall(Array.from({ length: size }, (_, to) => [i, rank, to])).then((found) =>
          assert.deepEqual(
            found,
            Array.from({ length: size }, (_, from) => [i, from, rank]),
          ),
        ),
      );
    }
    await Promise.all(all);
    assert.equal(user.state, "pending", "no collective was seen by a receive of any tag");
    await world.barrier();
    await world.send("user", { dest: (rank + size - 1) % size });
    assert.equal((await user).value, "user");
  },

  /** Members that differ hear of it, and go on afterwards. */
  async mismatch(world) {
    const { rank } = world;
    const code = "ERR_CARILLON_COLLECTIVE_MISMATCH";
    const first = rank === 0;
    await rejects(first ? world.barrier() : world.allgather(1), code);
    await rejects(first ? world.allreduce(1, { op: "sum" }) : world.allreduce(1, { op: "max" }), code);
    await rejects(world.allreduce(new Float64Array(first ? 10 : 11), { op: "sum" }), code);
    await rejects(world.allreduce(new Float64Array(first ? 100_000 : 100_001), { op: "sum" }), code);
    await rejects(world.allreduce(first ? new Int32Array(4) : new Uint32Array(4), { op: "sum" }), code);
    await rejects(world.allreduce(first ? 1n : 1, { op: "sum" }), code);
    assert.equal(await world.allreduce(1, { op: "sum" }), world.size);
  },

  /** A wrong argument is refused where it is passed, and the others do not wait. */
  async refused(world) {
    const { rank, size } = world;
    const failed = "ERR_CARILLON_COLLECTIVE_FAILED";
    const argument = "ERR_CARILLON_INVALID_ARGUMENT";
    const wrong = [
      [argument, () => world.alltoall([1]), () => world.alltoall(Array(size).fill(1))],
      [argument, () => world.allreduce([1, 2], { op: "sum" }), () => world.allreduce(1, { op: "sum" })],
      [argument, () => world.allreduce(1, { op: "mean" }), () => world.allreduce(1, { op: "sum" })],
      [argument, () => world.allreduce(1), () => world.allreduce(1, { op: "sum" })],
      [argument, () => world.allreduce(1, { op: "sum", into: [1] }), () => world.allreduce(1, { op: "sum" })],
      [argument, () => world.barrier({ signal: "x" }), () => world.barrier()],
      [argument, () => world.split({ color: -1 }), () => world.split({ color: 1 })],
      [argument, () => world.split({ color: 1, key: "x" }), () => world.split({ color: 1 })],
      ["ERR_CARILLON_INVALID_RANK", () => world.broadcast(1, { root: size }), () => world.broadcast(1, { root: 0 })],
      ["ERR_CARILLON_DATA_CLONE", () => world.broadcast(() => {}, { root: 0 }), () => world.broadcast(1, { root: 0 })],
      [argument, () => world.scatter([1], { root: 0 }), () => world.scatter(undefined, { root: 0 })],
      [
        argument,
        () => world.allreduce(new Float32Array(1), { op: "and" }),
        () => world.allreduce(new Float32Array(1), { op: "sum" }),
      ],
    ];
    for (const [code, mine, theirs] of wrong) {
      if (rank === 0) await rejects(mine(), code);
      else assert.equal((await rejects(theirs(), failed)).rank, 0);
    }
    const thrown = new Error("by the user's function");
    const reduced = world.allreduce(1, {
      op: (a, b) => {
        if (rank === 0) throw thrown;
        return a + b;
      },
    });
    const error = await rejects(reduced, rank === 0 ? undefined : failed);
    if (rank === 0) assert.equal(error, thrown);
    assert.equal(await world.allreduce(1, { op: "sum" }), size);
    await nothingOutstanding(world);
  },

  /** One member's signal ends it for all. */
  async signal(world) {
    const { rank, size } = world;
    const controller = new AbortController();
    if (rank === 0) {
      const pending = world.allgather(1, { signal: controller.signal });
      controller.abort(new Error("changed my mind"));
      await assert.rejects(pending, /changed my mind/);
      await assert.rejects(world.barrier({ signal: controller.signal }), /changed my mind/);
    } else {
      const failed = (error) => {
        assert.equal(error.code, "ERR_CARILLON_COLLECTIVE_FAILED", error.stack);
        assert.match(error.message, /rank 0 failed: changed my mind/);
        assert.equal(error.rank, 0);
      };
      // What rank 0 had sent before may have been all that this one needed: then it keeps its result.
      await world.allgather(1).then((values) => assert.deepEqual(values, [1, 1, 1, 1]), failed);
      failed(await rejects(world.barrier(), "ERR_CARILLON_COLLECTIVE_FAILED"));
    }
    assert.equal(await world.allreduce(1, { op: "sum" }), size);
  },

  /** A rank that is killed in the middle: nobody hangs, and whoever depends on it hears who died. */
  async killed(world, name) {
    const run = large[name];
    await run(world);
    say({ ready: true });
    const victim = world.size - 1;
    if (world.rank === victim) {
      await heard();
      // Part of it has happened when it dies, whichever part.
      void run(world).catch(() => {});
      setTimeout(() => process.kill(process.pid, "SIGKILL"), Math.random() * 3);
      return new Promise((resolve) => setTimeout(resolve, ENDLESS));
    }
    let error;
    for (let i = 0; i < 100_000 && !error; ++i) {
      await run(world).catch((reason) => {
        error = reason;
      });
      // Of a tree's root nobody hears again: its barrier is where all meet.
      if (!error && (i > 0 || !name.startsWith("all"))) await world.barrier().catch((reason) => (error = reason));
    }
    assert.equal(error?.code, "ERR_CARILLON_PEER_LOST", error?.stack);
    assert.equal(error.rank, victim);
    // Nobody leaves while another may still be about to find out.
    const living = others(world).filter((other) => other !== victim);
    for (const dest of living) await world.send("over", { dest, tag: 5 });
    for (const source of living) await world.recv({ source, tag: 5 });
    await nothingOutstanding(world);
  },

  /** A member that leaves instead of taking part. */
  async left(world) {
    if (world.rank === 1) return;
    const error = await rejects(world.barrier(), "ERR_CARILLON_PEER_CLOSED");
    assert.equal(error.rank, 1);
    // Nobody else leaves while another may still be about to find out.
    const staying = others(world).filter((other) => other !== 1);
    for (const dest of staying) await world.send("over", { dest, tag: 5 });
    for (const source of staying) await world.recv({ source, tag: 5 });
  },

  /** The world is closed while a collective is in flight. */
  async closed(world) {
    const pending = world.rank === 0 ? world.barrier() : undefined;
    pending?.catch(() => {});
    if (world.rank === 1) await rejects(world.recv({ source: 0 }), "ERR_CARILLON_PEER_CLOSED");
    await world.close({ timeout: 0 });
    if (pending) await rejects(pending, "ERR_CARILLON_CLOSED");
    await rejects(world.barrier(), "ERR_CARILLON_CLOSED");
  },
});

function others({ rank, size }) {
  return Array.from({ length: size }, (_, other) => other).filter((other) => other !== rank);
}
