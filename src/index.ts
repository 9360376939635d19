// The package's public face: everything a program imports from "carillon".
/**
 * Worlds of ranks that exchange messages, and everything that comes with them. Threads that compute are in `carillon/pool`.
 * @module carillon
 */
export { Communicator } from "./communicator.js";
export { CarillonError, type CarillonErrorCode, type CarillonErrorDetails } from "./errors.js";
export type {
  BackpressureOffEvent,
  BackpressureOnEvent,
  CarillonEvents,
  ConnectEvent,
  PeerClosedEvent,
  PeerLostEvent,
} from "./events.js";
export { type LaunchOptions, launch } from "./launch.js";
export { Lease, type LeaseType } from "./lease.js";
export { Message } from "./message.js";
export { Offer } from "./offer.js";
export {
  type AllreduceOptions,
  ANY_SOURCE,
  ANY_TAG,
  type CollectiveOptions,
  type Memory,
  type MessagesOptions,
  type ProbeOptions,
  type RecvOptions,
  type ReduceOptions,
  type RootedOptions,
  type SendOptions,
  type SendrecvOptions,
} from "./options.js";
export { MessageQueue, type QueueOptions, type TakeOptions } from "./queue.js";
export type { Combine, ReduceOperation, ReduceOperator, ReducibleArray } from "./reduction.js";
export { Request, type RequestState } from "./request.js";
export type { Doorbell, Interrupts, Rendezvous, Settings, Wait } from "./settings.js";
export type { WorldStats } from "./stats.js";
export type { MessageStream } from "./stream.js";
export { type JoinOptions, World } from "./world.js";
