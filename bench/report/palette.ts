// Colours of the pictures and the page, for light and dark: by name, as CSS variables, so that one SVG serves both. A peer has
// the same colour, dash and shape in every picture; who belongs together has one colour. Distinguishable for the colour-blind
// (after Okabe and Ito), and never by colour alone.

/** Light, dark. */
const COLOURS = {
  paper: ["#ffffff", "#15181e"],
  ink: ["#1d2129", "#e8eaee"],
  faint: ["#5b6472", "#a3acba"],
  rule: ["#dfe3e9", "#333a45"],
  blue: ["#0067b0", "#63b3ff"],
  sky: ["#1f9bd8", "#a6dcff"],
  green: ["#00875f", "#2fc99a"],
  orange: ["#c07f00", "#f0b429"],
  red: ["#cc4e00", "#ff8a50"],
  pink: ["#b0488a", "#f09bcd"],
  gold: ["#7d7000", "#d8cb4a"],
  grey: ["#737c8a", "#8f99a8"],
} as const;

export type Colour = keyof typeof COLOURS;

export const colour = (name: Colour): string => `var(--plot-${name})`;

/** The variables, for whatever shows the pictures. */
export function colourRules(selector: string): string {
  const rules = (i: 0 | 1) =>
    `${selector}{color-scheme:${i === 0 ? "light" : "dark"};${Object.entries(COLOURS)
      .map(([name, values]) => `--plot-${name}:${values[i]}`)
      .join(";")}}`;
  return `${rules(0)}\n@media (prefers-color-scheme:dark){${rules(1)}}`;
}

/** Overhead ratios, from nothing to all: paler is better. The same in light and dark, with figures upon them. */
export const HEAT = ["#fff7d6", "#fde29a", "#fdbf57", "#f58f2c", "#d1610f", "#8c3404"] as const;
export const HEAT_STEPS = [0.1, 0.25, 0.5, 0.75, 1] as const;
/** From this step on figures are white. */
export const HEAT_DARK = 0.75;

export interface Style {
  readonly colour: string;
  readonly dash: readonly number[];
  readonly shape: string;
}

/** The first that fits; within a family dashes and shapes follow one another. */
const FAMILIES: readonly (readonly [RegExp, Colour])[] = [
  [/^carillon-block$/, "sky"],
  [/^carillon-(adaptive|callback|subscribe|iterate)$/, "blue"],
  [/^carillon/, "pink"],
  [/^doorbell-(poll|futex)/, "sky"],
  [/^doorbell-eventfd/, "blue"],
  [/^doorbell-signal/, "red"],
  [/^doorbell-uintr/, "green"],
  [/^ipc/, "orange"],
  [/^(unix|tcp|http|net|socket)/, "green"],
  [/^(zeromq|zmq|nng|redis|grpc|nats)/, "red"],
  [/^c-(mpi|ucx)/, "grey"],
  [/^c-/, "ink"],
  [/^(worker|thread|message|broadcast|atomics|piscina)/, "gold"],
];
const OTHER: Colour = "grey";
const DASHES = [
  [1, 0],
  [7, 3],
  [2, 3],
  [9, 3, 2, 3],
  [4, 2],
  [12, 4],
] as const;
const LIMIT_DASHES = [
  [6, 4],
  [2, 4],
  [10, 4, 2, 4],
] as const;
const SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down"] as const;

/** What the machine can do at best, without any JavaScript: the physical limit. */
export const isLimit = (peer: string): boolean => /^c-(?!mpi)/.test(peer);

/** A style for each, the same wherever it is shown. */
export function stylesOf(peers: Iterable<string>): Map<string, Style> {
  const used = new Map<string, number>();
  const styles = new Map<string, Style>();
  for (const peer of peers) {
    if (styles.has(peer)) continue;
    const family = FAMILIES.find(([pattern]) => pattern.test(peer))?.[1] ?? OTHER;
    const i = used.get(family) ?? 0;
    used.set(family, i + 1);
    const dashes: readonly (readonly number[])[] = isLimit(peer) ? LIMIT_DASHES : DASHES;
    styles.set(peer, {
      colour: colour(family),
      dash: dashes[i % dashes.length] ?? [1, 0],
      shape: SHAPES[i % SHAPES.length] ?? "circle",
    });
  }
  return styles;
}
