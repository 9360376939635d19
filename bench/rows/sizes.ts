// The sizes that rows ask about, and what they are called in ids and titles.

export interface Size {
  /** In ids: `64KiB`. */
  readonly label: string;
  readonly name: string;
  readonly bytes: number;
}

const UNITS = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20 } as const;
type Label = `${number}${keyof typeof UNITS}`;

export function sizes(...labels: Label[]): Size[] {
  return labels.map((label) => {
    const [, number = "", unit = "B"] = /^(\d+)(\w+)$/.exec(label) ?? [];
    const name = `${number} ${unit === "B" ? "bytes" : unit}`;
    return { label, name, bytes: Number(number) * UNITS[unit as keyof typeof UNITS] };
  });
}
