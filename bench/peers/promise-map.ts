// What matching costs in JavaScript alone, as a yardstick for how much of a match's cost is the memory of many Promises and V8's
// collector of them: tags in a Map, of receives that wait and of messages that nobody has asked for. No order beyond that of a tag.

interface Arrived {
  readonly tag: number;
  readonly data: Uint8Array;
}

export class PromiseMap {
  readonly #posted = new Map<number, ((message: Arrived) => void)[]>();
  readonly #unexpected = new Map<number, Arrived[]>();

  recv(tag: number): Promise<Arrived> {
    const message = first(this.#unexpected, tag);
    if (message) return Promise.resolve(message);
    return new Promise((resolve) => append(this.#posted, tag, resolve));
  }

  send(body: Uint8Array, tag: number): Promise<void> {
    const message = { tag, data: body.slice() };
    const settle = first(this.#posted, tag);
    if (settle) settle(message);
    else append(this.#unexpected, tag, message);
    return Promise.resolve();
  }
}

function append<T>(lines: Map<number, T[]>, tag: number, value: T): void {
  const line = lines.get(tag);
  if (line) line.push(value);
  else lines.set(tag, [value]);
}

function first<T>(lines: Map<number, T[]>, tag: number): T | undefined {
  const line = lines.get(tag);
  const value = line?.shift();
  if (line?.length === 0) lines.delete(tag);
  return value;
}
