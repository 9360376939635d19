// A ring of bytes in a SharedArrayBuffer, from one thread to one other, with nothing but Atomics: what a careful application writes whose
// threads may stand still. Each side looks for a moment before it sleeps, fewer times after it was in vain; the other side wakes it only if it sleeps.

/** Words, each on a cache line of its own. */
const HEAD = 0;
const TAIL = 16;
const READER_SLEEPS = 32;
const WRITER_SLEEPS = 48;
const WORDS = 64;
/** A long body is passed on in pieces, so that both threads copy at the same time; of a small ring a quarter, or a piece and its length would not fit. */
const MOST_PIECE = 1 << 16;
const LEAST_LOOKS = 256;
const MOST_LOOKS = 8_192;

export class Ring {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #lengths: Int32Array;
  readonly #capacity: number;
  readonly #piece: number;
  #looks = LEAST_LOOKS;
  /** This side's position in bytes, modulo 2³². The other's as it was seen last. */
  #own = 0;
  #other = 0;

  /** @param capacity a power of two */
  static memory(capacity = 1 << 20): SharedArrayBuffer {
    return new SharedArrayBuffer(4 * WORDS + capacity);
  }

  /** @param memory from `Ring.memory`: the same on both sides, of which one only sends and the other only receives */
  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory, 0, WORDS);
    this.#bytes = new Uint8Array(memory, 4 * WORDS);
    this.#lengths = new Int32Array(memory, 4 * WORDS);
    this.#capacity = this.#bytes.length;
    this.#piece = Math.min(MOST_PIECE, this.#capacity / 4);
  }

  send(body: Uint8Array): void {
    const length = body.length;
    this.#waitForRoom(8);
    this.#lengths[(this.#own & (this.#capacity - 1)) >> 2] = length;
    this.#own = (this.#own + 8) | 0;
    for (let at = 0; at < length; ) {
      const piece = Math.min(length - at, this.#piece, this.#capacity - (this.#own & (this.#capacity - 1)));
      this.#waitForRoom(piece);
      this.#bytes.set(piece === length ? body : body.subarray(at, at + piece), this.#own & (this.#capacity - 1));
      at += piece;
      this.#own = (this.#own + (at === length ? (piece + 7) & ~7 : piece)) | 0;
      if (at < length) this.#publish(HEAD, READER_SLEEPS);
    }
    this.#publish(HEAD, READER_SLEEPS);
  }

  /** The next body, in memory of its own or at the start of `into`. */
  receive(into?: Uint8Array): Uint8Array {
    this.#waitForBytes(8);
    const length = this.#lengths[(this.#own & (this.#capacity - 1)) >> 2] as number;
    const target = into ?? new Uint8Array(length);
    this.#own = (this.#own + 8) | 0;
    for (let at = 0; at < length; ) {
      const start = this.#own & (this.#capacity - 1);
      const piece = Math.min(length - at, this.#piece, this.#capacity - start);
      this.#waitForBytes(piece);
      target.set(this.#bytes.subarray(start, start + piece), at);
      at += piece;
      this.#own = (this.#own + (at === length ? (piece + 7) & ~7 : piece)) | 0;
      if (at < length) this.#publish(TAIL, WRITER_SLEEPS);
    }
    this.#publish(TAIL, WRITER_SLEEPS);
    return target.length === length ? target : target.subarray(0, length);
  }

  #publish(word: number, sleeps: number): void {
    Atomics.store(this.#words, word, this.#own);
    if (Atomics.load(this.#words, sleeps) === 0) return;
    Atomics.store(this.#words, sleeps, 0);
    Atomics.notify(this.#words, word);
  }

  #waitForRoom(bytes: number): void {
    // What is in the ring and not read yet: own - other.
    const least = (((this.#own + bytes) | 0) - this.#capacity) | 0;
    if (((this.#other - least) | 0) < 0) this.#wait(TAIL, WRITER_SLEEPS, least);
  }

  #waitForBytes(bytes: number): void {
    const least = (this.#own + bytes) | 0;
    if (((this.#other - least) | 0) < 0) this.#wait(HEAD, READER_SLEEPS, least);
  }

  /** Until the other side's position is `least` or beyond. */
  #wait(word: number, sleeps: number, least: number): void {
    for (let looks = 0; ; looks++) {
      const seen = Atomics.load(this.#words, word);
      if (((seen - least) | 0) >= 0) {
        this.#other = seen;
        if (looks > 0) this.#looks = Math.min(2 * this.#looks, MOST_LOOKS);
        return;
      }
      if (looks < this.#looks) continue;
      this.#looks = Math.max(this.#looks >> 1, LEAST_LOOKS);
      Atomics.store(this.#words, sleeps, 1);
      if (Atomics.load(this.#words, word) === seen) Atomics.wait(this.#words, word, seen);
      Atomics.store(this.#words, sleeps, 0);
      looks = -1;
    }
  }
}
