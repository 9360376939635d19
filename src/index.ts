// The package's public face: everything a program imports from "carillon".
export {
  type AllreduceOptions,
  ANY_SOURCE,
  ANY_TAG,
  type CollectiveOptions,
  Communicator,
  type RecvOptions,
  type ReduceOptions,
  type RootedOptions,
  type SendOptions,
  type SendrecvOptions,
} from "./communicator.js";
export { CarillonError, type CarillonErrorCode, type CarillonErrorDetails } from "./errors.js";
export { type LaunchOptions, launch } from "./launch.js";
export { Message } from "./message.js";
export type { Combine, ReduceOperation, ReduceOperator, ReducibleArray } from "./reduction.js";
export { Request, type RequestState } from "./request.js";
export { type JoinOptions, type Wait, World } from "./world.js";
