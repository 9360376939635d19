// The most a UNIX socket (net) can do: bytes without message boundaries, one write a message, which the receiver only
// counts as they come. No application could tell the messages apart; what frames them has less than this.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { Inbox } from "./inbox.js";
import { endWith, partnerCommand } from "./partner.js";
import { rateBytesOf } from "./payload.js";
import { serve } from "./serve.js";

/** What comes first in a batch: how many bytes will follow. */
const HEADER_BYTES = 8;

if (process.argv[2] === "partner") {
  const socket = new Socket({ fd: 3, readable: true, writable: true });
  socket.on("close", () => process.exit(0));
  let expected = 0;
  socket.on("data", (chunk: Buffer) => {
    // The initiator waits for the answer: a header is at the start of a chunk, and whole.
    const header = expected === 0;
    if (header) expected = chunk.readDoubleLE(0);
    expected -= chunk.length - (header ? HEADER_BYTES : 0);
    if (expected === 0) socket.write("!");
  });
} else {
  const [command, ...args] = partnerCommand(fileURLToPath(import.meta.url), ["partner"]);
  const partner = spawn(command, args, { stdio: ["ignore", "ignore", "inherit", "pipe"] });
  endWith(partner);
  const socket = partner.stdio[3] as Socket;
  const answers = new Inbox<unknown>();
  socket.on("data", () => answers.put(undefined));
  serve(
    {
      async passes(workload, count) {
        const bytes = rateBytesOf(workload);
        if (bytes === undefined) throw new Error(`${workload} needs messages, and this carries bytes`);
        const message = new Uint8Array(bytes);
        const header = Buffer.alloc(HEADER_BYTES);
        header.writeDoubleLE(count * bytes, 0);
        socket.write(header);
        for (let i = 0; i < count; i++) if (!socket.write(message)) await once(socket, "drain");
        await answers.take();
      },
    },
    [partner.pid ?? 0],
  );
}
