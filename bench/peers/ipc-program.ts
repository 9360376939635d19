// A process and its child over Node's own channel (child_process.fork), with the serialization named on the command line.
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Inbox } from "./inbox.js";
import { endWith, partnerCommand } from "./partner.js";
import { checkStep, type Frame, makeFrame, TEXT } from "./payload.js";
import { type Initiator, serve } from "./serve.js";

const [role, serialization] = process.argv.slice(2) as [string, "json" | "advanced"];
const inbox = new Inbox<unknown>();

function overChannel(send: (message: unknown) => void): Initiator {
  const frame = makeFrame();
  return {
    async passes(workload, count, times) {
      for (let i = 0; i < count; i++) {
        const start = performance.now();
        if (workload === "bytes8") {
          send(i); // a number: the cheapest 8 bytes this channel has
          checkStep(i, (await inbox.take()) as number);
        } else if (workload === "object") {
          frame.step = i;
          send(frame);
          checkStep(i, ((await inbox.take()) as Frame).step);
        } else {
          send(TEXT);
          checkStep(TEXT.length, ((await inbox.take()) as string).length);
        }
        if (times) times[i] = performance.now() - start;
      }
    },
  };
}

if (role === "partner") {
  process.on("message", (message) => inbox.put(message));
  for (;;) process.send?.(await inbox.take());
} else {
  const program = fileURLToPath(import.meta.url);
  const [execPath, ...execArgv] = partnerCommand(program, []);
  const partner = fork(program, ["partner"], {
    execPath,
    execArgv: execArgv.slice(0, -1), // fork adds the program itself
    serialization,
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  endWith(partner);
  partner.on("message", (message) => inbox.put(message));
  serve(
    overChannel((message) => partner.send(message as object)),
    [partner.pid ?? 0],
  );
}
