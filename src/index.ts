// The package's public face: everything a program imports from "carillon".
export {
  ANY_SOURCE,
  ANY_TAG,
  Communicator,
  type Memory,
  type ProbeOptions,
  type RecvOptions,
  type SendOptions,
} from "./communicator.js";
export { CarillonError, type CarillonErrorCode, type CarillonErrorDetails } from "./errors.js";
export { type LaunchOptions, launch } from "./launch.js";
export { Message } from "./message.js";
export { Offer } from "./offer.js";
export { Request, type RequestState } from "./request.js";
export type { Rendezvous, Settings, Wait } from "./settings.js";
export { type JoinOptions, World } from "./world.js";
