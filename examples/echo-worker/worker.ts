// A worker thread of rank 1. It never joins the world: it takes requests from shared memory with nothing but Atomics, and stands still
// while there are none. Its answers leave through the main thread, which has joined.
import { parentPort, workerData } from "node:worker_threads";
import { MessageQueue } from "carillon";
import { addEcho } from "./echo.js";

/** What the main thread is to send. */
export interface Answer {
  readonly dest: number;
  readonly tag: number;
  readonly sound: Float32Array;
}

const requests = MessageQueue.from<Float32Array<ArrayBuffer>>(workerData);
for (let request = requests.take(); request; request = requests.take()) {
  const sound = request.value; // over the message's own bytes: this thread's now, to write to and to give away
  addEcho(sound);
  const answer: Answer = { dest: request.source, tag: request.tag, sound };
  parentPort?.postMessage(answer, [sound.buffer]);
}
// The queue has ended, since every rank that could send has left: so does this thread.
