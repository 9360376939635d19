// The work: an echo, in the sound of a block. Pure arithmetic; knows nothing of threads or ranks.

/** Samples until the sound comes back, and how much of it does. */
export const DELAY = 1200;
const STRENGTH = 0.5;

/** Adds to each sample what was heard DELAY samples before, itself with an echo; in place. */
export function addEcho(sound: Float32Array): void {
  for (let i = DELAY; i < sound.length; i++) sound[i] = (sound[i] as number) + STRENGTH * (sound[i - DELAY] as number);
}

/** A block to send: a tone of its own for each number. */
export function tone(samples: number, number: number): Float32Array {
  const pitch = 0.01 * (1 + (number % 12) / 12);
  return Float32Array.from({ length: samples }, (_, i) => Math.sin(i * pitch) * Math.exp(-i / 600));
}
