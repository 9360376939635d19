// A UNIX socket that carries messages: 4 bytes of length, then the body. Written as a careful application would: one
// write per small message, small messages cut out of the chunk without a copy, large ones collected in reused memory.
import { once } from "node:events";
import type { Socket } from "node:net";
import type { ByteLink } from "./bytelink.js";
import { Inbox } from "./inbox.js";
import { MEBIBYTE } from "./payload.js";

const HEADER = 4;

export function socketLink(socket: Socket): ByteLink {
  const inbox = new Inbox<Uint8Array>();
  const read = reader((body) => inbox.put(body));
  socket.on("data", read);
  return {
    send(body) {
      const small = body.length < 65_536;
      const head = Buffer.allocUnsafe(small ? HEADER + body.length : HEADER);
      head.writeUInt32LE(body.length, 0);
      if (small) {
        head.set(body, HEADER);
        return socket.write(head) ? undefined : once(socket, "drain");
      }
      socket.cork();
      socket.write(head);
      const more = socket.write(body);
      socket.uncork();
      return more ? undefined : once(socket, "drain");
    },
    receive: () => inbox.take(),
  };
}

/** Cuts chunks into messages. One of several chunks is collected in one of two buffers, which are used in turn and grow. */
function reader(deliver: (body: Uint8Array) => void): (chunk: Buffer) => void {
  const buffers = [Buffer.alloc(HEADER + MEBIBYTE), Buffer.alloc(HEADER + MEBIBYTE)];
  let turn = 0;
  let have = 0;
  return (chunk) => {
    let at = 0;
    while (at < chunk.length) {
      if (have === 0 && chunk.length - at >= HEADER) {
        const end = at + HEADER + chunk.readUInt32LE(at);
        if (end <= chunk.length) {
          deliver(chunk.subarray(at + HEADER, end));
          at = end;
          continue;
        }
      }
      let buffer = buffers[turn] as Buffer;
      const wanted = have < HEADER ? HEADER : HEADER + buffer.readUInt32LE(0);
      if (wanted > buffer.length) {
        const larger = Buffer.alloc(wanted);
        buffer.copy(larger, 0, 0, have);
        buffers[turn] = buffer = larger;
      }
      const taken = chunk.copy(buffer, have, at, at + wanted - have);
      have += taken;
      at += taken;
      if (have < HEADER || have < HEADER + buffer.readUInt32LE(0)) continue;
      deliver(buffer.subarray(HEADER, have));
      turn = 1 - turn;
      have = 0;
    }
  };
}
