// The form of the examples' reports: labels, indented lines, numbers for people.

/** Lines of a report, the first of them labelled. */
export function rows(label: string, ...lines: string[]): string[] {
  return lines.map((line, i) => `  ${(i === 0 ? label : "").padEnd(12)} ${line}`);
}

export const count = (value: number) => Math.round(value).toLocaleString("en-US");
export const seconds = (milliseconds: number) => `${(milliseconds / 1e3).toFixed(2)} s`;
/** "1 core", "2 cores" */
export const several = (value: number, what: string) => `${count(value)} ${what}${value === 1 ? "" : "s"}`;
