// The rows of the benchmark, in the order they are measured and printed. Add a row here.
import { type Placement, placements } from "../harness/placement.js";
import type { Row } from "../harness/row.js";
import { peers } from "../peers/index.js";
import { idle } from "./idle.js";
import { oneWay, roundTrip } from "./passing.js";
import { reaction } from "./reaction.js";

/** @param folder where sockets and binaries may lie */
export function rows(folder: string): Row[] {
  const { adaptive, block, ipcJson, ipcAdvanced, socket, zeromq, eventfd, spin, memcpy } = peers(folder);
  const everywhere = placements();
  const at = (build: (placement: Placement) => Row) => everywhere.map(build);

  const bytes = {
    id: "roundtrip-8B",
    title: "Round trip of 8 bytes",
    about: "two processes, both sides await Promises (C: none)",
    workload: "bytes8",
    peers: [adaptive, block, ipcJson, ipcAdvanced, socket, zeromq, eventfd, spin],
  } as const;
  const objects = {
    id: "roundtrip-object",
    title: "Round trip of { step, grid }, 1,000 numbers",
    about: "grid is a Float64Array; as values on both sides (socket and zeromq: v8.serialize)",
    workload: "object",
    peers: [adaptive, block, ipcAdvanced, socket, zeromq],
  } as const;
  const strings = {
    id: "roundtrip-string",
    title: "Round trip of a string of 100 characters",
    about: "as values on both sides (socket and zeromq: v8.serialize)",
    workload: "string",
    peers: [adaptive, block, ipcJson, ipcAdvanced, socket, zeromq],
  } as const;
  const stream = {
    id: "oneway-1MiB",
    title: "1 MiB one way",
    about: "one `await send` after the other, received into memory that is reused; time per message",
    workload: "stream1m",
    peers: [adaptive, block, socket, zeromq, memcpy],
  } as const;

  return [
    ...at((placement) => roundTrip(bytes, placement)),
    ...at((placement) => roundTrip(objects, placement)),
    ...at((placement) => roundTrip(strings, placement)),
    ...at((placement) => oneWay(stream, placement)),
    ...at((placement) => reaction("timer", placement)),
    ...at((placement) => reaction("socket", placement)),
    idle,
  ];
}
