// What `launch` needs to start ranks: loaded when it is called, so that it costs other ranks nothing.
export { Job } from "./job.js";
export { inheritedOptions } from "./node-words.js";
export { resolveScript } from "./script.js";
