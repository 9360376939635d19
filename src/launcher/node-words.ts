// Node's own command line: which of its options take the next word as their value, which of them a child inherits, and
// how each rank gets an inspector port of its own.
// Not responsible for whether node knows an option: it says so itself.

/** Options of node 20 to 26 whose value may be the next word. All others take it after "=", or have none. */
const VALUE_OPTIONS = new Set(
  `-C --conditions -r --require --import --loader --experimental-loader -e --eval --input-type --title
  --env-file --env-file-if-exists --experimental-config-file --disable-warning --diagnostic-dir --redirect-warnings
  --inspect-port --debug-port --inspect-publish-uid --unhandled-rejections --trace-require-module
  --trace-event-categories --trace-event-file-pattern --dns-result-order --max-http-header-size
  --stack-trace-limit --network-family-autoselection-attempt-timeout --disable-proto --icu-data-dir --snapshot-blob
  --build-snapshot-config --experimental-sea-config --experimental-package-map --build-sea --experimental-default-type
  --experimental-specifier-resolution --es-module-specifier-resolution --experimental-policy --policy-integrity
  --allow-fs-read --allow-fs-write --secure-heap --secure-heap-min --openssl-config --tls-cipher-list --tls-keylog
  --security-revert --security-reverts --v8-pool-size --use-largepages --max-old-space-size-percentage
  --heapsnapshot-near-heap-limit --heapsnapshot-signal --heap-prof-dir --heap-prof-name --heap-prof-interval
  --cpu-prof-dir --cpu-prof-name --cpu-prof-interval --report-dir --report-directory --report-filename
  --report-signal --localstorage-file --watch-path --watch-kill-signal --run
  --test-concurrency --test-timeout --test-shard --test-name-pattern --test-skip-pattern --test-reporter
  --test-reporter-destination --test-isolation --experimental-test-isolation --test-global-setup
  --test-coverage-include --test-coverage-exclude --test-coverage-branches --test-coverage-functions
  --test-coverage-lines --experimental-test-tag-filter --test-rerun-failures --test-random-seed
  --vfs-load --bench-reporter --bench-samples --bench-name-pattern --vfs-mount --bench-warmup --bench-isolation
  --bench-reporter-destination`.split(/\s+/),
);

/** With one of these node runs something else than a script. */
const NO_SCRIPT = new Set(
  "-e --eval -p --print -pe -i --interactive --test --run -v --version --v8-options --completion-bash".split(" "),
);
/** These print the next word's value, if there is a next word that is no option. */
const PRINT = new Set(["-p", "--print", "-pe"]);
const INSPECT = new Set(["--inspect", "--inspect-brk", "--inspect-wait"]);
const INSPECT_PORT = new Set(["--inspect-port", "--debug-port"]);
const HOOKS = new Set(["-r", "--require", "--import", "--loader", "--experimental-loader"]);
/** What belongs to the parent's own main program, or would collide with it. */
const NOT_INHERITED = new Set([...NO_SCRIPT, ...INSPECT, ...INSPECT_PORT, "--input-type", "-c", "--check"]);

const DEFAULT_INSPECT_PORT = 9229;

/** Thrown for a command line that cannot be meant. */
export class WordsError extends Error {}

interface Option {
  readonly name: string;
  readonly value: string | undefined;
  /** As written: one word or two. */
  readonly words: readonly string[];
}

export interface NodeWords {
  readonly options: readonly string[];
  /** Undefined if the options make node run something else. */
  readonly script: string | undefined;
  readonly args: readonly string[];
}

/** The option at the beginning of these words, if there is one. */
export function takeOption(words: readonly string[]): Option | undefined {
  const [word = "", next] = words;
  if (!word.startsWith("-") || word === "-" || word === "--") return undefined;
  const equals = word.indexOf("=");
  // Node reads "_" in an option's name as "-".
  const name = (equals < 0 ? word : word.slice(0, equals)).replaceAll("_", "-");
  if (equals >= 0) return { name, value: word.slice(equals + 1), words: [word] };
  const takes = VALUE_OPTIONS.has(name) || (PRINT.has(name) && next !== undefined && !next.startsWith("-"));
  if (!takes) return { name, value: undefined, words: [word] };
  if (next === undefined) throw new WordsError(`${word} needs a value`);
  return { name, value: next, words: [word, next] };
}

/** Whether these options make node run something else than a script. */
export function needsNoScript(options: readonly string[]): boolean {
  return each(options).some((option) => NO_SCRIPT.has(option.name));
}

/** Whether these options give node hooks that may find other files than it does by itself. */
export function hasHooks(options: readonly string[]): boolean {
  return each(options).some((option) => HOOKS.has(option.name));
}

/** The options of this process that fit a child that runs another script. */
export function inheritedOptions(options: readonly string[]): string[] {
  return each(options)
    .filter((option) => !NOT_INHERITED.has(option.name))
    .flatMap((option) => option.words);
}

/**
 * The inspector port a rank adds to its options, if they (or NODE_OPTIONS, which the launcher itself has obeyed and
 * whose port it therefore holds) ask for an inspector.
 */
export function inspectPort(options: readonly string[], nodeOptions: string, rank: number): string[] {
  const ours = each(options);
  const inherited = each(nodeOptions.split(/\s+/).filter(Boolean));
  const held = inherited.some((option) => INSPECT.has(option.name));
  if (!held && !ours.some((option) => INSPECT.has(option.name))) return [];
  const ourPort = lastPort(ours);
  if ((ourPort ?? lastPort(inherited)) === 0) return []; // each takes a free one
  const base = ourPort ?? (lastPort(inherited) ?? DEFAULT_INSPECT_PORT) + (held ? 1 : 0);
  if (base + rank > 65535) {
    throw new WordsError(`rank ${rank} would need the inspector port ${base + rank}; there is none above 65535`);
  }
  return [`--inspect-port=${base + rank}`];
}

function lastPort(options: readonly Option[]): number | undefined {
  const given = options.filter(({ name }) => INSPECT.has(name) || INSPECT_PORT.has(name));
  return given.map(({ value }) => parsePort(value ?? "")).findLast((port) => port !== undefined);
}

/** The port in "port", "host:port" or "[::1]:port"; undefined for a host alone. */
function parsePort(value: string): number | undefined {
  const port = /^(?:.*:)?(\d+)$/.exec(value)?.[1];
  return port === undefined ? undefined : Number(port);
}

function each(words: readonly string[]): Option[] {
  const options: Option[] = [];
  for (let rest = words; rest.length > 0; ) {
    const option = takeOption(rest) ?? { name: "", value: undefined, words: rest.slice(0, 1) };
    options.push(option);
    rest = rest.slice(option.words.length);
  }
  return options;
}
