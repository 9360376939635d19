// A process and its child over Node's own channel (child_process.fork), with the serialization named on the command line.
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Inbox } from "./inbox.js";
import { endWith, partnerCommand } from "./partner.js";
import { checkStep, type Frame, makeFrame, SHORT_BYTES, TEXT } from "./payload.js";
import { type Initiator, serve } from "./serve.js";

const [role, serialization] = process.argv.slice(2) as [string, "json" | "advanced"];
const inbox = new Inbox<unknown>();

/** Messages after which the sender waits until what it gave has left: the channel has no "drain" to wait for. */
const WINDOW_MESSAGES = 1_024;

interface Announced {
  count: number;
}

/** @param send `sent` is called when this message has left */
function overChannel(send: (message: unknown, sent?: () => void) => void): Initiator {
  const frame = makeFrame();
  const short = "m".repeat(SHORT_BYTES); // 64 bytes at their cheapest on this channel

  async function oneWay(count: number): Promise<void> {
    send({ count } satisfies Announced);
    for (let i = 1; i <= count; i++) {
      if (i % WINDOW_MESSAGES === 0) await new Promise<void>((resolve) => send(short, resolve));
      else send(short);
    }
    checkStep(count, (await inbox.take()) as number);
  }

  async function thereAndBack(workload: string, count: number, times: Float64Array | undefined): Promise<void> {
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
  }

  return {
    passes: (workload, count, times) => (workload === "rate64" ? oneWay(count) : thereAndBack(workload, count, times)),
  };
}

async function partner(): Promise<never> {
  for (;;) {
    const message = await inbox.take();
    const { count } = Object(message) as Partial<Announced>;
    if (count !== undefined)
      for (let i = 0; i < count; i++) checkStep(SHORT_BYTES, ((await inbox.take()) as string).length);
    process.send?.(count ?? message);
  }
}

if (role === "partner") {
  process.on("message", (message) => inbox.put(message));
  await partner();
} else {
  const program = fileURLToPath(import.meta.url);
  const [execPath, ...execArgv] = partnerCommand(program, []);
  const child = fork(program, ["partner"], {
    execPath,
    execArgv: execArgv.slice(0, -1), // fork adds the program itself
    serialization,
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  endWith(child);
  child.on("message", (message) => inbox.put(message));
  serve(
    overChannel((message, sent) => child.send(message as object, sent)),
    [child.pid ?? 0],
  );
}
