// A headless Chromium, spoken to over its DevTools pipe. Responsible for starting and ending it, and for opening a page and asking it
// something; not for what is asked.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const NAMES = ["chromium", "chromium-browser", "google-chrome"];
/** Only ends what hangs. */
const PATIENCE_MS = 60_000;

/** The command, undefined if there is none. */
export function findChromium() {
  return NAMES.find((name) => spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0);
}

export class Chromium {
  #child;
  #profile = mkdtempSync(join(tmpdir(), "carillon-chromium-"));
  #rest = "";
  #id = 0;
  #answers = new Map();
  #listeners = new Map();

  constructor(command) {
    const options = ["--headless", "--remote-debugging-pipe", `--user-data-dir=${this.#profile}`, "--disable-gpu"];
    // Root, as in a container, may not use its sandbox; what is opened is our own.
    if (process.getuid?.() === 0) options.push("--no-sandbox");
    this.#child = spawn(command, options, { stdio: ["ignore", "ignore", "pipe", "pipe", "pipe"] });
    let words = "";
    this.#child.stderr.setEncoding("utf8").on("data", (text) => {
      words = (words + text).slice(-2_000);
    });
    this.#child.stdio[4].setEncoding("utf8").on("data", (text) => this.#take(text));
    this.#child.stdio[3].on("error", () => {}); // its end is told by "exit"
    this.#child.once("exit", (code) => {
      for (const { reject } of this.#answers.values()) reject(new Error(`Chromium ended (${code}): ${words}`));
      this.#answers.clear();
    });
  }

  /**
   * Opens a page and evaluates an expression in it, in each colour scheme.
   * @returns what that gave each time, and whatever the page asked of the network or complained of
   */
  async look(url, { width, height, schemes, expression }) {
    const { targetId } = await this.#ask("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.#ask("Target.attachToTarget", { targetId, flatten: true });
    const requests = [];
    const complaints = [];
    const { promise: loaded, resolve } = withResolvers();
    this.#listeners.set(sessionId, ({ method, params }) => {
      if (method === "Network.requestWillBeSent") requests.push(params.request.url);
      if (method === "Runtime.exceptionThrown") complaints.push(params.exceptionDetails.text);
      if (method === "Runtime.consoleAPICalled") complaints.push(`console: ${JSON.stringify(params.args)}`);
      if (method === "Log.entryAdded") complaints.push(params.entry.text);
      if (method === "Page.loadEventFired") resolve();
    });
    const ask = (method, params = {}) => this.#ask(method, params, sessionId);
    for (const domain of ["Network", "Runtime", "Log", "Page"]) await ask(`${domain}.enable`);
    await ask("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: false });
    const { errorText } = await ask("Page.navigate", { url });
    if (errorText) throw new Error(`${url}: ${errorText}`);
    await loaded;
    const found = [];
    for (const value of schemes) {
      await ask("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value }] });
      const { result, exceptionDetails } = await ask("Runtime.evaluate", { expression, returnByValue: true });
      if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
      found.push(result.value);
    }
    this.#listeners.delete(sessionId);
    await this.#ask("Target.closeTarget", { targetId });
    return { found, requests, complaints };
  }

  async close() {
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    const late = setTimeout(() => this.#child.kill("SIGKILL"), 5_000);
    this.#ask("Browser.close").catch(() => {});
    if (this.#child.exitCode === null) await ended;
    clearTimeout(late);
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }

  #ask(method, params = {}, sessionId = undefined) {
    const id = ++this.#id;
    this.#child.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`Chromium does not answer ${method}`)), PATIENCE_MS);
      const settled = (how) => (value) => {
        clearTimeout(late);
        how(value);
      };
      this.#answers.set(id, { resolve: settled(resolve), reject: settled(reject) });
    });
  }

  #take(text) {
    const messages = (this.#rest + text).split("\0");
    this.#rest = messages.pop();
    for (const message of messages.map((each) => JSON.parse(each))) {
      const waiting = this.#answers.get(message.id);
      this.#answers.delete(message.id);
      if (waiting === undefined) this.#listeners.get(message.sessionId)?.(message);
      else if (message.error) waiting.reject(new Error(message.error.message));
      else waiting.resolve(message.result);
    }
  }
}

/** Promise.withResolvers, which Node 20 has not. */
function withResolvers() {
  let resolve;
  const promise = new Promise((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
