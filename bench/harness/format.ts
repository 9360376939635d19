// Numbers for people: three significant digits, one unit per column.

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

export function ratio(value: number): string {
  return Number.isFinite(value) ? `${significant(value)}×` : "–";
}

export function integer(value: number): string {
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

function grouped(digits: string): string {
  const [whole = "", fraction] = digits.split(".");
  const apart = whole.length > 4 ? whole.replace(/\B(?=(\d{3})+$)/g, "\u202f") : whole;
  return fraction === undefined ? apart : `${apart}.${fraction}`;
}
