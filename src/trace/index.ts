// What is needed where a timeline is recorded: loaded then, so that it costs nothing otherwise.
export { Recording, recordTask } from "./recording.js";
export { Timeline, writeTimeline } from "./timeline.js";
export { bufferOfRank, openRecording, type TraceWish, traceWish } from "./wish.js";
