// Broadcast by a binomial tree (R. Thakur, R. Rabenseifner, W. Gropp, "Optimization of collective communication operations
// in MPICH", 2005): size - 1 messages, ceil(log2 size) deep. The value is encoded once, and passed on as it came.
//
// Large values take the same tree. A scatter followed by an allgather wins where each process has a link of its own; on one
// node every copy goes through the same memory, both ways copy as many bytes in all, and the tree with fewer messages. It is
// the receivers that copy, so the children of one parent do it at the same time.
import { encode } from "../value.js";
import type { Collective } from "./collective.js";

/** The root's value on every rank; the root gets its own one back. */
export async function broadcast(collective: Collective, value: unknown, root: number): Promise<unknown> {
  const { rank, size } = collective;
  const place = (rank - root + size) % size;
  const rankAt = (other: number) => (other + root) % size;
  // The parent has this place without its lowest bit; below that bit are the children, the largest subtree first.
  let bit = 1;
  while (bit < size && (place & bit) === 0) bit *= 2;
  const arrival = place === 0 ? undefined : await collective.recv(rankAt(place - bit));
  const encoded = arrival ? arrival.encoded : encode(value);
  for (bit /= 2; bit >= 1; bit /= 2) if (place + bit < size) void collective.pass(rankAt(place + bit), encoded);
  // Views lie over the memory that is being passed on.
  await collective.flush();
  return arrival ? arrival.value : value;
}
