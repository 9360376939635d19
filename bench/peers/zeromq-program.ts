// Two processes over a pair of zeromq sockets on ipc://, raw bytes or v8.serialize.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type ByteLink, echoBytes, overBytes } from "./bytelink.js";
import { endWith, partnerCommand } from "./partner.js";
import { answer, serve } from "./serve.js";

const { Pair } = await import("zeromq").catch((error: NodeJS.ErrnoException) => {
  const missing = error.code === "ERR_MODULE_NOT_FOUND";
  answer(`failed zeromq ${missing ? "is not installed: npm install zeromq" : `cannot be loaded: ${error.message}`}`);
  process.exit(0);
});

const [role, address] = process.argv.slice(2) as [string, string];
const pair = new Pair();
const link: ByteLink = {
  send: (body) => pair.send(body),
  async receive() {
    const [body] = await pair.receive();
    return body as Buffer;
  },
};

if (role === "partner") {
  process.stdin.resume().on("end", () => process.exit(0));
  pair.connect(address);
  await echoBytes(link);
} else {
  await pair.bind(address);
  const [command, ...args] = partnerCommand(fileURLToPath(import.meta.url), ["partner", address]);
  const partner = spawn(command, args, { stdio: ["pipe", "ignore", "inherit"] });
  endWith(partner);
  serve(overBytes(link), [partner.pid ?? 0]);
}
