// Progress on stderr: a bar where somebody watches, a few plain lines where it goes to a file.
import cliProgress from "cli-progress";

export interface Progress {
  update(done: number): void;
  stop(): void;
}

export function showProgress(label: string, total: number): Progress {
  return process.stderr.isTTY ? bar(label, total) : lines(label, total);
}

function bar(label: string, total: number): Progress {
  const bar = new cliProgress.SingleBar({
    format: `${label} {bar} {percentage} %  step {value} of {total}, {eta_formatted} to go`,
    barCompleteChar: "━",
    barIncompleteChar: "─",
    barsize: 30,
    // Ctrl-C ends the program as always, and leaves no terminal settings behind because none were changed.
    gracefulExit: false,
    linewrap: true,
  });
  bar.start(total, 0);
  return { update: (done) => bar.update(done), stop: () => bar.stop() };
}

function lines(label: string, total: number): Progress {
  let quarter = 0;
  return {
    update(done) {
      const reached = Math.floor((4 * done) / total);
      if (reached === quarter) return;
      quarter = reached;
      process.stderr.write(`${label} ${25 * quarter} %  step ${done} of ${total}\n`);
    },
    stop() {},
  };
}
