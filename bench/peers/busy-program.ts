// Computes in a worker thread until its stdin ends.
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { answer, onCommand } from "./serve.js";

if (isMainThread) {
  new Worker(new URL(import.meta.url)).once("message", () => answer("ready"));
  onCommand(async () => {});
} else {
  parentPort?.postMessage("computing");
  for (let x = 1; x > 0; ) for (let i = 0; i < 1e6; i++) x = Math.sqrt(x + i);
}
