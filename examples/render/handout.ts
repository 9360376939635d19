// Who renders what: rank 0 hands out numbers as ranks ask for them, so that a fast rank gets more, and a tile that takes long holds
// up no other. Knows nothing of what the numbers mean.
import type { Communicator } from "carillon";

/** Tags: a rank asks, and rank 0 tells. Two of them, for rank 0 asks itself, too, and is not to receive its own question. */
const ASK = 1;
const TELL = 2;

/** Told when there is nothing more to do. */
const NOTHING = -1;

/** On rank 0: hands out 0 to `count - 1`, each once, until every rank has heard that there is no more. */
export async function handOut(world: Communicator, count: number): Promise<void> {
  let next = 0;
  let waiting = world.size;
  for await (const { source } of world.messages({ tag: ASK })) {
    const number = next < count ? next++ : NOTHING;
    await world.send(number, { dest: source, tag: TELL });
    if (number === NOTHING && --waiting === 0) break;
  }
}

/** On every rank: the numbers that it gets, each asked for when it is wanted. */
export async function* askFor(world: Communicator): AsyncGenerator<number, void> {
  for (;;) {
    await world.send(undefined, { dest: 0, tag: ASK });
    const { value } = await world.recv<number>({ source: 0, tag: TELL });
    if (value === NOTHING) return;
    yield value;
  }
}
