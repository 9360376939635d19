// Barrier by dissemination (D. Hensgen, R. Finkel, U. Manber, "Two algorithms for barrier synchronization", 1988): in round k
// each rank tells the one 2^k above and hears from the one 2^k below; ceil(log2 size) rounds, as many messages a rank.
import type { Collective } from "./collective.js";

export async function barrier(collective: Collective): Promise<void> {
  const { rank, size } = collective;
  for (let distance = 1; distance < size; distance *= 2) {
    void collective.send((rank + distance) % size, undefined);
    await collective.recv((rank - distance + size) % size);
  }
}
