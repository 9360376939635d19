// A process and its child over Node's own channel (child_process.fork), with the serialization named on the command line.
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Inbox } from "./inbox.js";
import { endWith, partnerCommand } from "./partner.js";
import { bytesExchange, checkStep, type Exchange } from "./payload.js";
import { serve } from "./serve.js";
import { echoValues, overValues, type ValueLink } from "./valuelink.js";

const [role, serialization] = process.argv.slice(2) as [string, "json" | "advanced"];
const inbox = new Inbox<unknown>();

/** @param send `sent` is called when this message has left */
function channel(send: (message: unknown, sent?: () => void) => void): ValueLink {
  return {
    send(value) {
      send(value);
      return undefined;
    },
    receive: () => inbox.take(),
    left: (value) => new Promise<void>((resolve) => send(value, resolve)),
    bytes,
  };
}

/** 8 bytes are a number, 64 a string: what is cheapest here. JSON has nothing better for more. */
function bytes(bytes: number): Exchange {
  if (bytes <= 8) return { next: (i) => i, check: (answer, i) => checkStep(i, answer as number) };
  if (bytes > 64 && serialization === "advanced") return bytesExchange(bytes) as Exchange;
  const text = "m".repeat(bytes);
  return { next: () => text, check: (answer) => checkStep(bytes, (answer as string).length) };
}

if (role === "partner") {
  process.on("message", (message) => inbox.put(message));
  await echoValues(channel((message, sent) => process.send?.(message, undefined, undefined, sent)));
} else {
  const program = fileURLToPath(import.meta.url);
  const [execPath, ...execArgv] = partnerCommand(program, []);
  const child = fork(program, ["partner", serialization], {
    execPath,
    execArgv: execArgv.slice(0, -1), // fork adds the program itself
    serialization,
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  endWith(child);
  child.on("message", (message) => inbox.put(message));
  serve(overValues(channel((message, sent) => child.send(message as object, sent))), [child.pid ?? 0]);
}
