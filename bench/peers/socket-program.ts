// Two processes over a UNIX socket (net): the initiator starts its partner with the socket as descriptor 3.
import { spawn } from "node:child_process";
import { Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { echoBytes, overBytes } from "./bytelink.js";
import { endWith, partnerCommand } from "./partner.js";
import { serve } from "./serve.js";
import { socketLink } from "./socket-link.js";

if (process.argv[2] === "partner") {
  const socket = new Socket({ fd: 3, readable: true, writable: true });
  socket.on("close", () => process.exit(0));
  await echoBytes(socketLink(socket));
} else {
  const [command, ...args] = partnerCommand(fileURLToPath(import.meta.url), ["partner"]);
  const partner = spawn(command, args, { stdio: ["ignore", "ignore", "inherit", "pipe"] });
  endWith(partner);
  const socket = partner.stdio[3] as Socket;
  serve(overBytes(socketLink(socket)), [partner.pid ?? 0]);
}
