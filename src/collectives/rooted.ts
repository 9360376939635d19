// Gather and scatter between a root and all others, linear: one message a rank, straight to or from the root.
// A binomial tree has fewer rounds, but passes most values on several times; on one node a message costs about a microsecond
// and its receiver a copy, so that the root's size - 1 messages cost less than the tree's wake-ups and copies.
import type { Collective } from "./collective.js";

/** What each rank gave, by rank; undefined where this rank is not the root. */
export async function gather(collective: Collective, value: unknown, root: number): Promise<unknown[] | undefined> {
  const { rank, size } = collective;
  if (rank !== root) {
    void collective.send(root, value);
    return undefined;
  }
  const arrivals = Array.from({ length: size }, (_, source) => (source === rank ? undefined : collective.recv(source)));
  const all: unknown[] = [];
  for (const arrival of arrivals) all.push(arrival ? (await arrival).value : value);
  return all;
}

/** The root's value for this rank. */
export async function scatter(
  collective: Collective,
  values: readonly unknown[] | undefined,
  root: number,
): Promise<unknown> {
  const { rank, size } = collective;
  if (rank !== root) return (await collective.recv(root)).value;
  for (let i = 1; i < size; i++) {
    const dest = (rank + i) % size;
    void collective.send(dest, (values as readonly unknown[])[dest]);
  }
  return (values as readonly unknown[])[rank];
}
