// The rows of the benchmark, in the order they are measured and printed. Add a row here.
import { type Placement, placements, threadsApart } from "../harness/placement.js";
import type { Row } from "../harness/row.js";
import { peers } from "../peers/index.js";
import { doorbells } from "./doorbells.js";
import { idle } from "./idle.js";
import { leases } from "./lease.js";
import { matchDepth } from "./match-depth.js";
import { overlaps } from "./overlap.js";
import { overlapTotals } from "./overlap-total.js";
import { messageRate, oneWay, roundTrip } from "./passing.js";
import { pool } from "./pool.js";
import { reaction } from "./reaction.js";
import { scale } from "./scale.js";
import { type Size, sizes } from "./sizes.js";
import { wakeUp } from "./wake-up.js";

const ROUND_TRIPS = sizes("8B", "64B", "512B", "4KiB", "32KiB", "256KiB", "1MiB");
const RATES = sizes("64B", "8B", "512B", "4KiB");
const BANDWIDTHS = sizes("1MiB", "4KiB", "16KiB", "64KiB", "256KiB", "8MiB", "64MiB", "256MiB");
/** What is asked everywhere, and in quick runs; the others show how it depends on the size, in one placement. */
const FIRST = new Set(["roundtrip-8B", "rate-64B", "bandwidth-1MiB"]);
const MEBIBYTE = 2 ** 20;
/** What is longer is asked of fewer peers, and less often. */
const LARGE = 64 * MEBIBYTE;

/** @param folder where sockets and binaries may lie */
export function rows(folder: string): Row[] {
  const peer = peers(folder);
  const everywhere = placements();
  const [apart, , free] = everywhere as [Placement, Placement, Placement];
  /** The placements of a row; a quick run has `quick` of them. */
  const at = (where: readonly Placement[], quick: readonly Placement[], build: (placement: Placement) => Row): Row[] =>
    where.map((placement) => {
      const row = build(placement);
      return quick.includes(placement) ? row : { ...row, thorough: true };
    });
  // A flow of short messages: V8's collector and compiler have as much to do as JavaScript, and find the processor that has room, as in any program.
  const flowing = [threadsApart(), ...everywhere.slice(1)];
  const whereAsked = (id: string, all: readonly Placement[]) => (FIRST.has(id) ? all : all.slice(0, 1));
  const threads = [peer.carillonThreads, peer.messagePort, peer.broadcastChannel, peer.atomicsRing] as const;

  const bytes = ({ label, name, bytes }: Size) => {
    const id = `roundtrip-${label}`;
    const row = {
      id,
      title: `Round trip of ${name}`,
      about:
        "both sides await Promises (C: none; the ring: threads stand still); IPC: a number, a string, a Uint8Array; carillon: longer than 16,000 bytes from and into SharedArrayBuffers; C eventfd, spin: copied once each way",
      workload: `bytes:${bytes}`,
      figure: { kind: "latency", bytes },
      peers: [
        peer.adaptive,
        peer.block,
        ...(bytes > 16_000 ? [peer.adaptiveAllocated] : []),
        peer.ipcJson,
        peer.ipcAdvanced,
        peer.socket,
        peer.zeromq,
        ...threads,
        peer.eventfd,
        peer.spin,
        peer.mpich,
        peer.openMpi,
      ],
      quickPeers: [peer.adaptive, peer.block, peer.ipcJson, peer.socket, peer.messagePort, peer.eventfd, peer.spin],
    } as const;
    return at(whereAsked(id, everywhere), FIRST.has(id) ? [apart, free] : [], (placement) => roundTrip(row, placement));
  };
  const values = [peer.adaptive, peer.block, peer.ipcJson, peer.ipcAdvanced, peer.socket, peer.zeromq, ...threads];
  const objects = {
    id: "roundtrip-object",
    title: "Round trip of { step, grid }, 1,000 numbers",
    about: "grid is a Float64Array; as values on both sides (socket, zeromq and ring: v8.serialize)",
    workload: "object",
    peers: values.filter((each) => each !== peer.ipcJson),
    quickPeers: [peer.adaptive, peer.ipcAdvanced, peer.socket, peer.messagePort],
  } as const;
  const sizedObjects = ({ label, name, bytes }: Size) => ({
    id: `roundtrip-object-${label}`,
    title: `Round trip of an object of about ${name}`,
    about:
      "{ step, records: [{ id, x, name }, …] }, so many that v8.serialize makes about as many bytes (26 at least); as values on both sides (socket, zeromq and ring: v8.serialize)",
    workload: `object:${bytes}` as const,
    figure: { kind: "latency-object", bytes } as const,
    peers: values,
  });
  const strings = {
    id: "roundtrip-string",
    title: "Round trip of a string of 100 characters",
    about: "as values on both sides (socket, zeromq and ring: v8.serialize)",
    workload: "string",
    peers: values,
  } as const;
  const stream = {
    id: "oneway-1MiB",
    title: "1 MiB one way",
    about: "one `await send` after the other, received into memory that is reused; time per message",
    workload: "stream1m",
    bytes: MEBIBYTE,
    peers: [peer.adaptive, peer.block, peer.socket, peer.zeromq, peer.memcpy],
  } as const;
  const rate = ({ label, name, bytes }: Size) => {
    const id = `rate-${label}`;
    const row = {
      id,
      title: `${name} one way, as many as possible`,
      about:
        "receiver awaits each message, has a callback, or a stream (unframed socket: counts bytes); sender waits when told to (send pending, write false; zeromq: each; IPC, ports: every 1,024; ring: full); time per message",
      workload: `rate:${bytes}`,
      figure: { kind: "rate", bytes },
      bytes,
      length: { batchNs: 100e6 },
      peers: [
        peer.flow,
        peer.callback,
        peer.subscribe,
        peer.iterate,
        peer.flowBlock,
        peer.ipcJson,
        peer.ipcAdvanced,
        peer.socketRaw,
        peer.socket,
        peer.zeromq,
        ...threads,
      ],
      quickPeers: [peer.flow, peer.callback, peer.subscribe, peer.ipcJson, peer.socketRaw, peer.messagePort],
    } as const;
    return at(whereAsked(id, flowing), FIRST.has(id) ? flowing.slice(0, 1) : [], (placement) =>
      messageRate(row, placement),
    );
  };
  const bandwidth = ({ label, name, bytes }: Size) => {
    const id = `bandwidth-${label}`;
    const row = {
      id,
      title: `${name} one way, double-buffered`,
      about: "two messages on their way, two buffers on each side; time per message",
      workload: `bulk:${bytes}`,
      figure: { kind: "bandwidth", bytes },
      bytes,
      // V8 compiles the last function that counts after some 20,000 messages.
      length: { batchNs: 100e6, warmUpNs: 3e9, passes: bytes > LARGE ? 2 : 8 },
      memoryPerPeer: 4 * bytes, // two buffers on each side
      peers: [
        peer.flow,
        ...(bytes > LARGE ? [] : [peer.flowBlock]),
        peer.ring,
        peer.leased,
        peer.allocated,
        ...(bytes > LARGE ? [] : [peer.ordinary, peer.sharedToOrdinary, peer.handedOver]),
        ...(bytes <= 8 * MEBIBYTE ? [peer.ipcAdvanced] : []),
        peer.socket,
        peer.zeromq,
        ...(bytes > LARGE ? [] : [peer.messagePort]),
        peer.messagePortTransfer,
        peer.atomicsRing,
        peer.mpich,
        peer.openMpi,
        peer.memcpy,
      ],
      quickPeers: [peer.flow, peer.allocated, peer.ordinary, peer.socket, peer.messagePort, peer.memcpy],
    } as const;
    return at(whereAsked(id, everywhere), FIRST.has(id) ? [apart] : [], (placement) => oneWay(row, placement));
  };
  const overlappingQuick = [peer.adaptive, peer.adaptiveAllocated, peer.socket, peer.openMpi];
  const overlapping = [peer.adaptive, peer.adaptiveAllocated, peer.socket, peer.zeromq, peer.mpich, peer.openMpi];

  return [
    ...ROUND_TRIPS.flatMap(bytes),
    ...at(everywhere, [apart], (placement) => roundTrip(objects, placement)),
    ...ROUND_TRIPS.flatMap((size) => at([apart], [], (placement) => roundTrip(sizedObjects(size), placement))),
    ...at(everywhere, [], (placement) => roundTrip(strings, placement)),
    ...at(everywhere, [], (placement) => oneWay(stream, placement)),
    ...RATES.flatMap(rate),
    ...BANDWIDTHS.flatMap(bandwidth),
    ...leases(),
    ...overlaps(overlapping, overlappingQuick),
    ...overlapTotals([...overlapping, peer.messagePort], overlappingQuick),
    ...at(everywhere, [apart], (placement) => reaction("timer", placement)),
    ...at(everywhere, [], (placement) => reaction("socket", placement)),
    wakeUp([peer.eventfd]),
    ...matchDepth,
    pool,
    idle,
    ...doorbells({ echo: peer.eventfd, reaction: [peer.reactionEventfd, peer.reactionSignal] }),
    scale,
  ];
}
