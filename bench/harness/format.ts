// Numbers for people: three significant digits, one unit per column. Each has a name, by which JSON says what a column has.

export function nanoseconds(ns: number): string {
  return significant(ns);
}

/** Nanoseconds as microseconds. */
export function microseconds(ns: number): string {
  return significant(ns / 1e3);
}

/** Nanoseconds as milliseconds. */
export function milliseconds(ns: number): string {
  return significant(ns / 1e6);
}

export function kibibytes(bytes: number): string {
  return significant(bytes / 2 ** 10);
}

export function mebibytes(bytes: number): string {
  return significant(bytes / 2 ** 20);
}

/** A share that differs from 1 by little. */
export function share(value: number): string {
  return Number.isFinite(value) ? value.toFixed(3) : "–";
}

export function ratio(value: number): string {
  return Number.isFinite(value) ? `${significant(value)}×` : "–";
}

export function integer(value: number): string {
  if (!Number.isFinite(value)) return "–";
  return grouped(Math.round(value).toString());
}

/** Three significant digits, never exponents, thousands apart: 0.851, 4.30, 61.2, 1 204. */
export function significant(value: number): string {
  if (!Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const rounded = Number(value.toPrecision(3)); // first, or 9.999 would become 10.00
  const magnitude = Math.floor(Math.log10(Math.abs(rounded)));
  return grouped(value.toFixed(Math.min(Math.max(2 - magnitude, 0), 4)));
}

const FORMATS = { nanoseconds, microseconds, milliseconds, kibibytes, mebibytes, share, ratio, integer, significant };

export type FormatName = keyof typeof FORMATS;

/** @throws Error of a function that is none of these: what it formats could not be shown again from JSON */
export function formatName(format: (value: number) => string): FormatName {
  const [name] = Object.entries(FORMATS).find(([, each]) => each === format) ?? [];
  if (name === undefined) throw new Error("a column's format must be one of bench/harness/format.ts");
  return name as FormatName;
}

/** By name; a later version's, that is not known here, as plain numbers. */
export function formatted(name: string, value: number | null | undefined): string {
  const format = Object.hasOwn(FORMATS, name) ? FORMATS[name as FormatName] : significant;
  return format(value ?? Number.NaN);
}

function grouped(digits: string): string {
  const [whole = "", fraction] = digits.split(".");
  const apart = whole.length > 4 ? whole.replace(/\B(?=(\d{3})+$)/g, "\u202f") : whole;
  return fraction === undefined ? apart : `${apart}.${fraction}`;
}
