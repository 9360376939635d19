// The rows of the benchmark, in the order they are measured and printed. Add a row here.
import { type Placement, placements, threadsApart } from "../harness/placement.js";
import type { Row } from "../harness/row.js";
import { peers } from "../peers/index.js";
import { doorbells } from "./doorbells.js";
import { idle } from "./idle.js";
import { leases } from "./lease.js";
import { matchDepth } from "./match-depth.js";
import { overlaps } from "./overlap.js";
import { messageRate, oneWay, roundTrip } from "./passing.js";
import { pool } from "./pool.js";
import { queueWake } from "./queue-wake.js";
import { reaction } from "./reaction.js";
import { scale } from "./scale.js";

const MEBIBYTE = 2 ** 20;
const SIZES = [
  { label: "1MiB", name: "1 MiB", bytes: MEBIBYTE, thorough: false },
  { label: "64KiB", name: "64 KiB", bytes: MEBIBYTE / 16, thorough: true },
  { label: "256KiB", name: "256 KiB", bytes: MEBIBYTE / 4, thorough: true },
  { label: "8MiB", name: "8 MiB", bytes: 8 * MEBIBYTE, thorough: true },
  { label: "64MiB", name: "64 MiB", bytes: 64 * MEBIBYTE, thorough: true },
] as const;

/** @param folder where sockets and binaries may lie */
export function rows(folder: string): Row[] {
  const peer = peers(folder);
  const everywhere = placements();
  const at = (build: (placement: Placement) => Row) => everywhere.map(build);
  // A flow of short messages: V8's collector and compiler have as much to do as JavaScript, and find the processor that has room, as in any program.
  const flowing = [threadsApart(), ...everywhere.slice(1)];

  const bytes = {
    id: "roundtrip-8B",
    title: "Round trip of 8 bytes",
    about: "two processes, both sides await Promises (C: none)",
    workload: "bytes8",
    figure: { kind: "latency", bytes: 8 },
    peers: [
      peer.adaptive,
      peer.block,
      peer.ipcJson,
      peer.ipcAdvanced,
      peer.socket,
      peer.zeromq,
      peer.eventfd,
      peer.spin,
      peer.mpich,
      peer.openMpi,
    ],
  } as const;
  const objects = {
    id: "roundtrip-object",
    title: "Round trip of { step, grid }, 1,000 numbers",
    about: "grid is a Float64Array; as values on both sides (socket and zeromq: v8.serialize)",
    workload: "object",
    peers: [peer.adaptive, peer.block, peer.ipcAdvanced, peer.socket, peer.zeromq],
  } as const;
  const strings = {
    id: "roundtrip-string",
    title: "Round trip of a string of 100 characters",
    about: "as values on both sides (socket and zeromq: v8.serialize)",
    workload: "string",
    peers: [peer.adaptive, peer.block, peer.ipcJson, peer.ipcAdvanced, peer.socket, peer.zeromq],
  } as const;
  const stream = {
    id: "oneway-1MiB",
    title: "1 MiB one way",
    about: "one `await send` after the other, received into memory that is reused; time per message",
    workload: "stream1m",
    bytes: MEBIBYTE,
    peers: [peer.adaptive, peer.block, peer.socket, peer.zeromq, peer.memcpy],
  } as const;
  const rate = {
    id: "rate-64B",
    title: "64 bytes one way, as many as possible",
    about:
      "receiver awaits each message, has a callback, or a stream (unframed socket: counts bytes); sender waits when told to (send pending, write false; zeromq: each; IPC: every 1,024); time per message",
    workload: "rate64",
    figure: { kind: "rate", bytes: 64 },
    bytes: 64,
    minNs: 100e6,
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
    ],
  } as const;
  const bandwidth = (size: (typeof SIZES)[number], placement: Placement) =>
    oneWay(
      {
        id: `bandwidth-${size.label}`,
        title: `${size.name} one way, double-buffered`,
        about: "two messages on their way, two buffers on each side; time per message",
        workload: `bulk:${size.bytes}`,
        figure: { kind: "bandwidth", bytes: size.bytes },
        bytes: size.bytes,
        minNs: 100e6,
        warmUpNs: 3e9, // V8 compiles the last function that counts after some 20,000 messages
        peers: [
          peer.flow,
          peer.flowBlock,
          peer.allocated,
          peer.ordinary,
          peer.sharedToOrdinary,
          peer.handedOver,
          peer.socket,
          peer.zeromq,
          peer.mpich,
          peer.openMpi,
          peer.memcpy,
        ],
        thorough: size.thorough,
      },
      placement,
    );

  return [
    ...at((placement) => roundTrip(bytes, placement)),
    ...at((placement) => roundTrip(objects, placement)),
    ...at((placement) => roundTrip(strings, placement)),
    ...at((placement) => oneWay(stream, placement)),
    ...flowing.map((placement) => messageRate(rate, placement)),
    ...SIZES.flatMap((size) =>
      // Where the processes run is asked for one size; what it does to the others is the same.
      (size.thorough ? everywhere.slice(0, 1) : everywhere).map((placement) => bandwidth(size, placement)),
    ),
    ...leases(),
    ...overlaps([peer.adaptive, peer.adaptiveAllocated, peer.socket, peer.zeromq, peer.mpich, peer.openMpi]),
    ...at((placement) => reaction("timer", placement)),
    ...at((placement) => reaction("socket", placement)),
    queueWake(),
    ...matchDepth,
    pool,
    idle,
    ...doorbells({ echo: peer.eventfd, reaction: [peer.reactionEventfd, peer.reactionSignal] }),
    scale,
  ];
}
