// Progress on stderr: a bar where somebody watches, a few plain lines where it goes to a file.
import cliProgress from "cli-progress";

export interface Progress {
  update(done: number): void;
  stop(): void;
}

/** @param unit what is counted: "step" shows as "step 3 of 10" */
export function showProgress(label: string, unit: string, total: number): Progress {
  return process.stderr.isTTY ? bar(label, unit, total) : lines(label, unit, total);
}

function bar(label: string, unit: string, total: number): Progress {
  const bar = new cliProgress.SingleBar({
    format: `${label} {bar} {percentage} %  ${unit} {value} of {total}, {eta_formatted} to go`,
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

function lines(label: string, unit: string, total: number): Progress {
  let quarter = 0;
  return {
    update(done) {
      const reached = Math.floor((4 * done) / total);
      if (reached === quarter) return;
      quarter = reached;
      process.stderr.write(`${label} ${25 * quarter} %  ${unit} ${done} of ${total}\n`);
    },
    stop() {},
  };
}
