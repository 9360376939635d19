// Turns a "message" event into something to await: what an application writes over an event-based channel.

export class Inbox<T> {
  #queued: T[] = [];
  #waiting: ((message: T) => void) | undefined;

  put(message: T): void {
    const waiting = this.#waiting;
    if (waiting) {
      this.#waiting = undefined;
      waiting(message);
    } else {
      this.#queued.push(message);
    }
  }

  /** One taker at a time. */
  take(): Promise<T> {
    if (this.#queued.length > 0) return Promise.resolve(this.#queued.shift() as T);
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }
}
