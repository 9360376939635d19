// Several writers, one stream, whole lines: merges the ranks' output into the launcher's own.
// Responsible for lines that are never torn, for labels, for back-pressure and for a bound on memory; knows nothing of
// processes. Works on bytes, so that no character is cut whatever the chunks are.
import type { Readable, Writable } from "node:stream";

const NEWLINE = 0x0a;
/** A line longer than this is passed on in pieces, and the other writers wait until it ends. */
const LONGEST_HELD = 1 << 20;
/** … or until its writer has been silent for so long: it may itself be waiting for a writer that we hold back. */
const SILENCE_MS = 1000;

/** One writer and the beginning of a line that it has not ended yet. */
interface Writer {
  readonly source: Readable;
  readonly label: Buffer | undefined;
  held: Buffer[];
  heldBytes: number;
}

export class LineMerger {
  readonly #destination: Writable;
  readonly #onBroken: (error: Error) => void;
  readonly #writers = new Set<Writer>();
  /** The destination takes no more for now. */
  #full = false;
  /** Nobody reads the destination any more: what the ranks write is thrown away, so that they do not wait for us. */
  #broken = false;
  /** The writer of the last line at the destination, if that line has no end yet. */
  #open: Writer | "note" | undefined;
  /** The writer of a line too long to be held: everyone else waits. */
  #owner: Writer | undefined;
  #silence: NodeJS.Timeout | undefined;

  constructor(destination: Writable, onBroken: (error: Error) => void = () => {}) {
    this.#destination = destination;
    this.#onBroken = onBroken;
  }

  /** Relays what `source` gives until it ends. */
  add(source: Readable, label?: string): void {
    const writer: Writer = {
      source,
      label: label === undefined ? undefined : Buffer.from(label),
      held: [],
      heldBytes: 0,
    };
    this.#writers.add(writer);
    source.on("data", (chunk: Buffer) => this.#take(writer, chunk));
    source.once("end", () => this.#finish(writer));
    source.once("close", () => this.#finish(writer));
    source.on("error", () => source.destroy());
    if (this.#mustWait(writer)) source.pause();
  }

  /** A line of the launcher's own. */
  note(line: string): void {
    this.#write("note", Buffer.from(`${line}\n`));
  }

  /** Whether the destination's reader is behind. */
  get full(): boolean {
    return this.#full && !this.#broken;
  }

  #mustWait(writer: Writer): boolean {
    return !this.#broken && (this.#full || (this.#owner !== undefined && this.#owner !== writer));
  }

  #take(writer: Writer, chunk: Buffer): void {
    if (this.#mustWait(writer)) {
      // Node resumes the pipes of a process that has ended, paused or not.
      writer.source.pause();
      writer.source.unshift(chunk);
      return;
    }
    const lines = chunk.lastIndexOf(NEWLINE) + 1;
    if (lines > 0) {
      this.#write(writer, ...writer.held, chunk.subarray(0, lines));
      writer.held = [];
      writer.heldBytes = 0;
      this.#release(writer);
    }
    if (lines === chunk.length) return;
    // A copy, because a few bytes would keep the whole chunk in memory.
    const rest = lines === 0 ? chunk : Buffer.from(chunk.subarray(lines));
    writer.held.push(rest);
    writer.heldBytes += rest.length;
    if (this.#open === writer || writer.heldBytes > LONGEST_HELD) {
      this.#write(writer, ...writer.held);
      writer.held = [];
      writer.heldBytes = 0;
      this.#hold(writer);
    }
  }

  #finish(writer: Writer): void {
    if (!this.#writers.delete(writer)) return;
    if (writer.heldBytes > 0) this.#write(writer, ...writer.held);
    this.#release(writer);
  }

  #hold(writer: Writer): void {
    this.#owner = writer;
    clearTimeout(this.#silence);
    // While our reader is behind, the writer is silent because we do not listen.
    this.#silence = setTimeout(() => (this.full ? this.#hold(writer) : this.#release(writer)), SILENCE_MS).unref();
    this.#schedule();
  }

  #release(writer: Writer): void {
    if (this.#owner !== writer) return;
    this.#owner = undefined;
    clearTimeout(this.#silence);
    this.#schedule();
  }

  #schedule(): void {
    for (const writer of this.#writers) {
      if (this.#mustWait(writer)) writer.source.pause();
      else writer.source.resume();
    }
  }

  #write(writer: Writer | "note", ...pieces: Buffer[]): void {
    if (this.#broken) return;
    const label = writer === "note" ? undefined : writer.label;
    const bytes = label ? labelled(label, pieces, this.#open === writer) : pieces;
    if (this.#open !== undefined && this.#open !== writer) bytes.unshift(Buffer.of(NEWLINE));
    const whole = bytes.length === 1 && bytes[0] ? bytes[0] : Buffer.concat(bytes);
    this.#open = whole.at(-1) === NEWLINE ? undefined : writer;
    const more = this.#destination.write(whole, (error) => {
      if (error) this.#break(error);
    });
    if (more || this.#full) return;
    this.#full = true;
    this.#schedule();
    this.#destination.once("drain", () => {
      this.#full = false;
      this.#schedule();
    });
  }

  #break(error: Error): void {
    // The event follows this callback; unheard, it would end the process with a stack trace. console.log does the same.
    if (this.#destination.listenerCount("error") === 0) this.#destination.once("error", () => {});
    if (this.#broken) return;
    this.#broken = true;
    this.#schedule();
    this.#onBroken(error);
  }
}

/** Puts the label before every line that begins in these pieces; the first begins unless the line is continued. */
function labelled(label: Buffer, pieces: Buffer[], continued: boolean): Buffer[] {
  const text = Buffer.concat(pieces);
  const result: Buffer[] = [];
  for (let start = 0; start < text.length; ) {
    const newline = text.indexOf(NEWLINE, start);
    const end = newline < 0 ? text.length : newline + 1;
    if (start > 0 || !continued) result.push(label);
    result.push(text.subarray(start, end));
    start = end;
  }
  return result;
}
