// Traffic: a line for each protocol, whose messages are numbered and made of bytes that their receiver makes again and compares.
// Responsible for sending and receiving them until the line ends, and for how it should end; not for who talks to whom (rank.mjs, host.mjs).
import assert from "node:assert/strict";

const KIB = 1 << 10;
const MIB = 1 << 20;

/**
 * `by`: how it is received, else by `recv`. `ahead`: sends at once. `slow`: its receiver has other things to do. `cancels`: requests are
 * taken back now and then. `dear`: takes long, loads RxJS or starts a thread. A message is at least 8 bytes: its number, and who sent it.
 */
export const LINES = [
  { name: "eager", sizes: [8, 300, 9000], ahead: 20 },
  { name: "eager, more than is received", sizes: [12_000, 15_000], ahead: 100, slow: true },
  { name: "offers", sizes: [64 * KIB, 100_000, MIB, 80_000, 150_000], ahead: 2 },
  { name: "into ordinary memory", sizes: [400, 64 * KIB, 300_000], ahead: 2, into: () => new ArrayBuffer(300_000) },
  // biome-ignore format: one line each
  { name: "shared memory", sizes: [64 * KIB, 100_000, 4 * MIB, 64 * KIB, 80_000, 120_000, 90_000, 70_000], ahead: 2, from: shared, into: () => new SharedArrayBuffer(4 * MIB), dear: true },
  { name: "leases", sizes: [20_000, 100_000, MIB, 200_000], ahead: 3, from: leased },
  { name: "synchronous", sizes: [8, 9000, 100_000], ahead: 3, synchronous: true },
  { name: "gathered", sizes: [90, 9000, 300_000], ahead: 3, parts: 3 },
  { name: "cancelled", sizes: [100, 200_000], ahead: 4, cancels: true },
  { name: "probed", sizes: [8, 5000, 200_000], ahead: 4, by: "mprobe" },
  { name: "subscribed", sizes: [8, 5000, 200_000], ahead: 10, by: "subscribe", dear: true },
  { name: "iterated", sizes: [8, 5000, 200_000], ahead: 10, by: "iterate", dear: true, slow: true },
  { name: "queued", sizes: [8, 5000, 100_000], ahead: 10, by: "queue", dear: true },
];
export const QUEUED = LINES.length - 1;

function shared(_world, bytes) {
  const memory = new Uint8Array(new SharedArrayBuffer(bytes.length));
  memory.set(bytes);
  return [memory, memory];
}

function leased(world, bytes) {
  const lease = world.allocate(bytes.length);
  lease.data.set(bytes);
  return [lease.data, lease];
}

function ordinary(_world, bytes) {
  const memory = bytes.slice();
  return [memory, memory];
}

/** No power of two: bytes from the wrong place of a body are seen. */
const PERIOD = 61_441;
let pattern = new Uint8Array(0);

/** As much of it as is needed: most processes here never send what is long. */
function patternOf(length) {
  if (pattern.length >= length) return pattern;
  const period = pattern.length > 0 ? pattern.subarray(0, PERIOD) : makePeriod();
  const all = new Uint8Array(Math.max(2 * PERIOD, 2 ** Math.ceil(Math.log2(length))));
  for (let made = 0; made < all.length; made += PERIOD) all.set(period.subarray(0, all.length - made), made);
  pattern = all;
  return all;
}

function makePeriod() {
  let state = 1;
  return Uint8Array.from({ length: PERIOD }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state >>> 24;
  });
}

function bytesOf(line, number) {
  const start = (number * 7919) % PERIOD;
  const end = start + line.sizes[number % line.sizes.length];
  return patternOf(end).subarray(start, end);
}

function make(world, line, number, sender) {
  const [memory, value] = (line.from ?? ordinary)(world, bytesOf(line, number));
  const head = new DataView(memory.buffer, memory.byteOffset);
  head.setUint32(0, number);
  head.setUint32(4, sender);
  if (!line.parts) return value;
  const part = Math.ceil(memory.length / line.parts);
  return Array.from({ length: line.parts }, (_, i) => memory.subarray(i * part, (i + 1) * part));
}

/** What a message of a line says, if it is whole. */
export function check(message, line) {
  const found = line.parts ? Buffer.concat(message.value) : message.data;
  const head = new DataView(found.buffer, found.byteOffset);
  const number = head.getUint32(0);
  const expected = bytesOf(line, number);
  const what = `message ${number} (${line.name}) from rank ${message.source}`;
  assert.equal(found.length, expected.length, what);
  if (Buffer.compare(found.subarray(8), expected.subarray(8)) !== 0) {
    assert.fail(`${what} differs at ${expected.findIndex((byte, i) => i >= 8 && byte !== found[i])}`);
  }
  return { number, sender: head.getUint32(4) };
}

export const turn = () => new Promise((resolve) => setImmediate(resolve));

/**
 * Sends until it fails, which is what this rejects with, or `stops()`. `sent(number)` before a message is sent, `left(number)` when its
 * send is fulfilled.
 */
export async function sending(world, dest, line, tag, { sender = 0, next, sent, left, stops = () => false }) {
  const window = [];
  for (let number = 0; !stops(); ++number) {
    const value = make(world, line, number, sender);
    sent(number);
    const send = world.send(value, { dest, tag, synchronous: line.synchronous === true });
    const leaves = send.then(
      () => left(number),
      (reason) => {
        if (!line.cancels || reason.code !== "ERR_CARILLON_CANCELLED") throw reason;
      },
    );
    leaves.catch(() => {});
    window.push(leaves);
    if (line.cancels && next() < 0.3) {
      await turn();
      send.cancel();
    }
    if (window.length >= line.ahead) await window.shift();
    if (number % 8 === 7) await turn();
  }
  await Promise.all(window);
}

/** Receives until nothing more comes: how that is said depends on the line. `took(number, sender)` for each message. */
export function receiving(world, source, line, tag, { next, took }) {
  const take = (message) => {
    const { number, sender } = check(message, line);
    took(number, sender);
  };
  return RECEIVERS[line.by ?? "recv"](world, source, line, tag, take, next);
}

const RECEIVERS = {
  async recv(world, source, line, tag, take, next) {
    const into = line.into?.();
    for (let taken = 1; ; ++taken) {
      const request = world.recv({ source, tag, into });
      if (line.cancels && next() < 0.3) {
        request.catch(() => {});
        await turn();
        if (request.cancel()) continue;
      }
      take(await request);
      if (line.slow || taken % 2 === 0) await turn(); // while messages are here, promises alone let nothing else happen
    }
  },
  async mprobe(world, source, _line, tag, take, next) {
    for (let taken = 1; ; ++taken) {
      if (taken % 2 === 0) await turn();
      const offer = await world.mprobe({ source, tag });
      if (next() < 0.2) {
        offer.giveBack();
        continue;
      }
      const message = await offer.recv().catch((reason) => {
        if (reason.code !== "ERR_CARILLON_CANCELLED") throw reason; // the thread that sent it has ended
      });
      if (message) take(message);
    }
  },
  subscribe(world, source, _line, tag, take) {
    return new Promise((resolve, reject) => {
      world.messages({ source, tag }).subscribe({ next: take, error: reject, complete: resolve });
    });
  },
  async iterate(world, source, line, tag, take) {
    for await (const message of world.messages({ source, tag })) {
      take(message);
      if (line.slow) await turn();
    }
  },
  async queue(world, source, _line, tag, take) {
    const queue = world.queue({ source, tag, byteCapacity: 256 * KIB });
    for await (const message of queue) take(message);
  },
};

export const emptyCounts = () => ({ sent: {}, left: {}, took: {} });

/** Lines both ways, one sender and one receiver each, all numbers in order: each line's promise, with what it does. `moves()` for each message. */
export function talk(world, peer, { outgoing, incoming, base, next, counts, moves = () => {} }) {
  const lines = [];
  for (const index of outgoing) {
    const tag = base + index;
    counts.sent[tag] = counts.left[tag] = 0;
    const promise = sending(world, peer, LINES[index], tag, {
      next,
      sent: () => ++counts.sent[tag],
      left() {
        ++counts.left[tag];
        moves();
      },
    });
    lines.push({ line: LINES[index], what: "sends", promise });
  }
  for (const index of incoming) {
    const tag = base + index;
    const line = LINES[index];
    let last = -1;
    counts.took[tag] = 0;
    const took = (number) => {
      assert.ok(number > last, `message ${number} (${line.name}) from rank ${peer} after ${last}`);
      last = number;
      ++counts.took[tag];
      moves();
    };
    const promise = receiving(world, peer, line, tag, { next, took });
    lines.push({ line, what: "receives", promise, takeRest: () => takeRest(world, peer, line, tag, took) });
  }
  return lines;
}

/** What came on a line that has ended, behind a body that went with its sender. */
export async function takeRest(world, source, line, tag, took) {
  for (let offer = world.tryMprobe({ source, tag }); offer; offer = world.tryMprobe({ source, tag })) {
    const message = await offer.recv().catch(() => undefined);
    if (message) took(check(message, line).number);
  }
}

/** A line has ended because the peer did: it says so, and nothing else. */
export async function endsWith(code, peer, line, what, promise) {
  const reason = await promise.then(
    () => undefined,
    (error) => error,
  );
  const quietly = what === "receives" && ["subscribe", "iterate", "queue"].includes(line.by);
  const found = reason?.code ?? reason;
  if (quietly && code !== "ERR_CARILLON_PEER_LOST") assert.equal(found, undefined, `${what} (${line.name})`);
  else assert.equal(found, code, `${what} (${line.name}): ${reason?.stack}`);
  if (reason && peer !== undefined) assert.equal(reason.rank, peer, `${what} (${line.name})`);
}
