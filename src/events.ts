// What a program may listen to: channels of node:diagnostics_channel with their messages, and lines for NODE_DEBUG=carillon.
// Not responsible for when something happens (observer.ts, world.ts).
import type { Channel } from "node:diagnostics_channel";
import { debuglog } from "node:util";

/** This thread has joined the world. */
export interface ConnectEvent {
  /** This process's rank. */
  readonly rank: number;
  /** How many ranks the world has. */
  readonly size: number;
  /** How other ranks make this one look: world.doorbell. */
  readonly doorbell: string;
  /** The other ranks, all of which have joined. */
  readonly peers: readonly number[];
}

/** Another rank has died, or its connection is over. What it had sent before can still be received. */
export interface PeerLostEvent {
  /** Which, as the world counts. */
  readonly rank: number;
  /** What requests that wait for it reject with. */
  readonly code: "ERR_CARILLON_PEER_LOST" | "ERR_CARILLON_PEER_PROTOCOL";
  /** How it ended, as far as this rank knows. */
  readonly reason: string;
}

/** Another rank has left the world properly. */
export interface PeerClosedEvent {
  /** Which, as the world counts. */
  readonly rank: number;
}

/** A send of this thread waits for room or credit at its peer, where none did before. */
export interface BackpressureOnEvent {
  /** How many do. */
  readonly waiting: number;
}

/** No send of this thread waits for room or credit any more. */
export interface BackpressureOffEvent {
  /** Milliseconds since it began. */
  readonly duration: number;
}

/** What is published on which channel, in the thread that it is about. */
export interface CarillonEvents {
  /** This thread has joined. */
  "carillon:connect": ConnectEvent;
  /** Another rank has died. */
  "carillon:peer.lost": PeerLostEvent;
  /** Another rank has left. */
  "carillon:peer.closed": PeerClosedEvent;
  /** A first send of this thread waits for its peer. */
  "carillon:backpressure.on": BackpressureOnEvent;
  /** None does any more. */
  "carillon:backpressure.off": BackpressureOffEvent;
}

/** A line on stderr under NODE_DEBUG=carillon. `enabled` before anything that costs. */
export const debug = debuglog("carillon");

/** Made with the first event: a process that has not joined yet does not load them. */
const channels = new Map<keyof CarillonEvents, Channel>();

/** `hasSubscribers` is what tells whether anybody listens, and costs nothing. */
export function channelOf(name: keyof CarillonEvents): Channel {
  let channel = channels.get(name);
  if (!channel) {
    channel = process.getBuiltinModule("node:diagnostics_channel").channel(name);
    channels.set(name, channel);
  }
  return channel;
}

/** `message` is made only if somebody listens. What a subscriber throws is an uncaught exception, after this. */
export function publish<N extends keyof CarillonEvents>(name: N, message: () => CarillonEvents[N]): void {
  const channel = channelOf(name);
  if (channel.hasSubscribers) channel.publish(message());
}
