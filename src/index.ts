// The package's public face: everything a program imports from "carillon".
export { ANY_SOURCE, ANY_TAG, Communicator, type RecvOptions, type SendOptions } from "./communicator.js";
export { CarillonError, type CarillonErrorCode, type CarillonErrorDetails } from "./errors.js";
export { type LaunchOptions, launch } from "./launch.js";
export { Lease, type LeaseType } from "./lease.js";
export { Message } from "./message.js";
export { Request, type RequestState } from "./request.js";
export { type JoinOptions, type Wait, World } from "./world.js";
