// All to all by pairwise exchange: in step i each rank sends to the one i above and receives from the one i below, so that
// nobody is everybody's target at once (R. Thakur, R. Rabenseifner, W. Gropp, 2005). The steps do not wait for each other: all
// receives are posted first, then all is sent. size - 1 messages a rank. (Bruck's way has fewer, but copies each value about
// log2(size) / 2 times; messages of one node are too cheap for that.)
import type { Collective } from "./collective.js";

/** What each rank has for this one, by rank. */
export async function alltoall(collective: Collective, values: readonly unknown[]): Promise<unknown[]> {
  const { rank, size } = collective;
  const all: unknown[] = new Array(size);
  all[rank] = values[rank];
  const arrivals = [];
  for (let i = 1; i < size; i++) arrivals.push(collective.recv((rank - i + size) % size));
  for (let i = 1; i < size; i++) void collective.send((rank + i) % size, values[(rank + i) % size]);
  for (const arrival of arrivals) {
    const { source, value } = await arrival;
    all[source] = value;
  }
  return all;
}
