// The random moments: what each is like follows from the seed, the ending and its number, in every process alike.
// Not responsible for what happens then.
import { random } from "../programs/scenario.mjs";

/** A generator of its own for each purpose. */
export function generator(seed, ...words) {
  let mixed = seed | 0;
  for (const char of words.join(" ")) mixed = Math.imul(mixed ^ char.charCodeAt(0), 0x01000193);
  const next = random(mixed);
  for (let i = 0; i < 8; ++i) next(); // near seeds begin alike
  return next;
}

/** When: after so many messages, or so long, in microseconds, of which `computes` are spent without a look at the event loop. */
export function momentOf(seed, ending, number) {
  const next = generator(seed, ending, number);
  const kind = next();
  if (kind < 0.4) return { messages: 1 + Math.floor(10 ** (next() * 2.7)), next };
  const waits = Math.floor(next() * 25) * 1000;
  return { waits, computes: Math.floor(next() * (kind < 0.8 ? 1000 : 8000)), next };
}

/** A moment that never comes by itself, for nothing flows any more, comes then. */
const LATEST = 500;

/** Calls `end` at the moment. The function that this returns is called for each message, and may be where that happens. */
export function at(moment, end) {
  let left = moment.messages ?? Number.POSITIVE_INFINITY;
  let over = false;
  const now = () => {
    if (over) return;
    over = true;
    clearTimeout(timer);
    end();
  };
  const timer = setTimeout(
    () => {
      compute(moment.computes ?? 0);
      now();
    },
    moment.messages ? LATEST : moment.waits / 1000,
  );
  return () => {
    if (--left === 0) now();
  };
}

export function compute(microseconds) {
  const until = performance.now() + microseconds / 1000;
  while (performance.now() < until);
}
