// What a request that failed says: who, what, and why, for each way native code ends an operation.
// Not responsible for how requests settle (thread.ts).
import { CarillonError } from "./errors.js";
import { rankOf } from "./group.js";
import { Status } from "./native.js";
import type { Operation } from "./request.js";

/** The error of a request that ended with `status`; `native`: the world rank it speaks of, -1: nobody or everybody. */
export function failure(
  status: Status,
  { operation }: { readonly operation?: Operation | undefined },
  native: number,
  byteLength: number | undefined,
): CarillonError {
  const { name, peer, tag, group } = operation ?? { name: "recv", peer: -1, tag: -1 };
  const rank = rankOf(group, native);
  const what =
    name === "send"
      ? `send to rank ${peer} with tag ${tag}`
      : `${name} from ${peer < 0 ? "any rank" : `rank ${peer}`} with ${tag < 0 ? "any tag" : `tag ${tag}`}`;
  const elsewhere = rank === native ? "" : ` (${native} in the world)`;
  const who = rank >= 0 ? `rank ${rank}${elsewhere}` : "every other rank";
  const details = { ...(rank >= 0 && { rank }), ...(tag >= 0 && { tag }) };
  switch (status) {
    case Status.truncated:
      return new CarillonError(
        "ERR_CARILLON_TRUNCATED",
        `${what}: the message from ${who} has ${byteLength} bytes, more than \`into\`; it stays first in line`,
        { ...details, byteLength: byteLength ?? 0 },
      );
    case Status.cancelled:
      return new CarillonError("ERR_CARILLON_CANCELLED", `${what}: cancelled`, details);
    case Status.takenBack:
      return new CarillonError("ERR_CARILLON_CANCELLED", `${what}: its sender has taken the message back`, details);
    case Status.peerClosed:
      return new CarillonError("ERR_CARILLON_PEER_CLOSED", `${what}: ${who} has left the world`, details);
    case Status.peerLost:
      return new CarillonError("ERR_CARILLON_PEER_LOST", `${what}: ${who} has died`, details);
    case Status.peerProtocol:
      return new CarillonError(
        "ERR_CARILLON_PEER_PROTOCOL",
        `${what}: ${who} wrote what no Carillon writes; the connection to it is over`,
        details,
      );
    case Status.closed:
      return new CarillonError("ERR_CARILLON_CLOSED", `${what}: the world was closed`, details);
    case Status.unreadable:
      return new CarillonError(
        "ERR_CARILLON_PULL_FORBIDDEN",
        `${what}: the body could not be read out of its sender's memory; \`carillon info\` says what this kernel allows`,
        details,
      );
    default:
      return new CarillonError("ERR_CARILLON_OUT_OF_MEMORY", `${what}: out of memory`, details);
  }
}
