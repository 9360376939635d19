// What `world.stats()` returns: the counters of a rank, each with its unit and whose it is.
// Not responsible for counting: native code does (native/core/engine.h, binding/observing.cc).
import { native } from "./native.js";

/**
 * A snapshot of plain numbers. Unless a field says otherwise it counts for the whole rank, all its threads together, since the process joined, and only
 * rises. What other threads do meanwhile may be in one field and not yet in another.
 */
export interface WorldStats {
  /** Messages that left: to peers and to this rank itself; eagerSent + offersSent + localSent. */
  readonly sent: number;
  /** Bytes on the wire of those messages. */
  readonly bytesSent: number;
  /** Messages copied into a peer's ring when they were sent (up to 16,000 bytes). */
  readonly eagerSent: number;
  /** Messages announced to a peer, which fetches the body: larger, synchronous, or beyond its quota. Leases too. */
  readonly offersSent: number;
  /** Messages of this rank to itself. */
  readonly localSent: number;
  /** Messages that went through a line at this rank: larger ones at once, others because there was no room or credit at the peer. */
  readonly queued: number;
  /** This thread, now: sends that wait for room or credit at their peers (back-pressure). */
  readonly heldUp: number;

  /** Messages received: whole, by a receive or stream. What nobody has received yet does not count. */
  readonly received: number;
  /** Bytes on the wire of those messages. */
  readonly bytesReceived: number;
  /** Of the messages received, those whose body was fetched from its sender. */
  readonly offersReceived: number;
  /** Offers of this rank whose body it copied along, part by part, because its receiver asked. All others were pulled. */
  readonly pushed: number;
  /** Bytes of bodies sent that way. */
  readonly bytesPushed: number;
  /** Bytes of bodies received that way. */
  readonly bytesReceivedInParts: number;

  /** Messages that were taken in before anybody received them. (Some wait in the ring they came by: those do not count.) */
  readonly unexpected: number;
  /** Now: messages taken in that nobody has received. */
  readonly unexpectedNow: number;
  /** The most there ever were at once. */
  readonly unexpectedMost: number;
  /** Now: bytes of their bodies, as far as they are in this process (that of an offer is at its sender). See maxUnexpectedBytes. */
  readonly unexpectedBytesNow: number;
  /** The most there ever were at once. */
  readonly unexpectedBytesMost: number;

  /** Rings of a peer that slept, whatever its doorbell. */
  readonly rings: number;
  /** Of the rings, those that interrupted a peer's running thread (doorbells "signal" and "uintr"). */
  readonly interrupts: number;
  /** Rings that were not answered in time, and were rung once more at the peer's progress thread. */
  readonly escalations: number;
  /** Rings that were not needed, for the peer came back in the moment that it was given. */
  readonly ringsSaved: number;

  /** Interrupts that reached this process, on whatever thread. */
  readonly handlerRuns: number;
  /** Of those, the ones on its main thread. */
  readonly handlerRunsOnMainThread: number;
  /** Interrupts whose handler made the progress itself, instead of leaving it to a thread that was making it. */
  readonly handled: number;
  /** User interrupts that found a system call, and were left for its end. */
  readonly withheld: number;
  /** User interrupts whose handler ran late, when this process looked for them. */
  readonly late: number;

  /** This thread: times that its event loop was woken for Carillon. */
  readonly wakes: number;
  /** This thread: adaptive waits in which something came. */
  readonly waitsWon: number;
  /** This thread: adaptive waits that were in vain. */
  readonly waitsLost: number;
  /** This thread, now: requests that native code has not completed, or that were not drained yet. */
  readonly outstanding: number;
  /** This thread, now: requests in use, outstanding or holding a probed message. */
  readonly requests: number;
  /** Now: other ranks that have neither left nor died. */
  readonly peersConnected: number;

  /** Leases handed over to peers. */
  readonly leasesLent: number;
  /** Now: leases that peers have not given back. */
  readonly leasesOut: number;
  /** Leases of peers that were mapped here. */
  readonly leasesMapped: number;
  /** Of those, the ones that needed a new mapping. */
  readonly leasesMappedAnew: number;
  /** Leases of peers that were copied, because they could not be mapped. */
  readonly leasesCopied: number;
  /** Nanoseconds spent on mapping. */
  readonly leaseMapNs: number;
  /** When the last lease was handed over, in nanoseconds of the machine's monotonic clock; 0: none. */
  readonly leaseLentAtNs: number;
  /** When the last lease of a peer was mapped, likewise. */
  readonly leaseMappedAtNs: number;
  /** Now: bytes of this rank's own memory kept for the next lease. */
  readonly leaseIdleBytes: number;
  /** Now: mappings of peers' memory kept for their next lease. */
  readonly leaseMappingsKept: number;
}

let names: readonly (keyof WorldStats)[] = [];
let values = new Float64Array(0);

/** @internal The counters now. This thread must have a handle on its rank. */
export function snapshot(): WorldStats {
  if (names.length === 0) {
    names = native().counterNames();
    values = new Float64Array(names.length);
  }
  native().counters(values);
  const stats: { -readonly [name in keyof WorldStats]?: number } = {};
  for (let i = 0; i < names.length; i++) stats[names[i] as keyof WorldStats] = values[i] as number;
  return stats as WorldStats;
}
