// One line on stderr that says what is being measured, and how much longer it will take. Written between batches only: a progress
// library's redraw timer would wake the harness ten times a second on a core that is being measured.

export interface Progress {
  /** @param secondsLeft of the whole run, about; undefined before anything is known */
  row(index: number, count: number, title: string, secondsLeft: number | undefined): void;
  detail(text: string): void;
  clear(): void;
}

export function progressLine(stream: NodeJS.WriteStream): Progress {
  let prefix = "";
  const line = (text: string) => {
    const columns = stream.columns || 80;
    stream.write(`\r\u001b[2K${text.slice(0, columns - 1)}`);
  };
  return {
    row(index, count, title, secondsLeft) {
      prefix = `[${index}/${count}${secondsLeft === undefined ? "" : `, ${duration(secondsLeft)} left`}] ${title}`;
      if (stream.isTTY) line(prefix);
      else stream.write(`${prefix}\n`);
    },
    detail(text) {
      if (stream.isTTY) line(`${prefix}: ${text}`);
    },
    clear() {
      if (stream.isTTY) stream.write("\r\u001b[2K");
    },
  };
}

function duration(seconds: number): string {
  return seconds < 100 ? `${Math.ceil(seconds)} s` : `${Math.round(seconds / 60)} min`;
}
