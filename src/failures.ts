// What a request that failed says: who, what, and why, for each way native code ends an operation; and the same of errors that were
// made where nobody knew what they are about.
// Not responsible for how requests settle (thread.ts).
import { CarillonError } from "./errors.js";
import { rankOf } from "./group.js";
import { Status } from "./native.js";
import type { Operation } from "./request.js";

/** What an operation is: its peer and its tag, as its communicator counts. */
export function described({ name, peer, tag }: Operation): string {
  if (name === "join") return `join as rank ${peer}`;
  if (name === "send") return `send to rank ${peer} with tag ${tag}`;
  return `${name} from ${peer < 0 ? "any rank" : `rank ${peer}`} with ${tag < 0 ? "any tag" : `tag ${tag}`}`;
}

/**
 * An error of an operation's arguments, values or memory, made to name operation, peer and tag, as far as these are what they should
 * be. What names its operation already, and what is not ours, stays as it is.
 */
export function explained(error: unknown, name: Operation["name"] | "tryMprobe", peer: unknown, tag: unknown): unknown {
  if (!(error instanceof CarillonError) || error.message.startsWith(`${name} `)) return error;
  const isPeer = Number.isInteger(peer) && error.code !== "ERR_CARILLON_INVALID_RANK";
  const isTag = Number.isInteger(tag) && error.code !== "ERR_CARILLON_INVALID_TAG";
  const who = (peer as number) < 0 ? "any rank" : `rank ${peer}`;
  const which = (tag as number) < 0 ? "any tag" : `tag ${tag}`;
  const toWhom = isPeer ? ` ${name === "send" ? "to" : "from"} ${who}` : "";
  return error.during(`${name}${toWhom}${isTag ? ` with ${which}` : ""}`, {
    ...(isPeer && (peer as number) >= 0 && { rank: peer as number }),
    ...(isTag && (tag as number) >= 0 && { tag: tag as number }),
  });
}

/** The error of a request that ended with `status`; `native`: the world rank it speaks of, -1: nobody or everybody. */
export function failure(
  status: Status,
  { operation }: { readonly operation?: Operation | undefined },
  native: number,
  byteLength: number | undefined,
): CarillonError {
  const asked: Operation = operation ?? { name: "recv", peer: -1, tag: -1 };
  const { peer, tag, group } = asked;
  const what = described(asked);
  const rank = rankOf(group, native);
  const elsewhere = rank === native ? "" : ` (${native} in the world)`;
  const who = rank >= 0 ? `rank ${rank}${elsewhere}` : "every other rank";
  const about = rank >= 0 ? rank : peer;
  const details = { ...(about >= 0 && { rank: about }), ...(tag >= 0 && { tag }) };
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
