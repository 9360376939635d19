// Every snippet of the documentation compiles against the built package, and those marked `// run: N` print what the
// documentation says.
import assert from "node:assert";
import { describe, expect, it } from "vitest";
import { documents } from "./documents.js";
import { linesOf, run } from "./run.js";
import { check, type Snippet, snippetsIn, snippetsOf } from "./snippets.js";

const sample = [
  "# A document",
  "```ts",
  "const wrong: number = 'text';",
  "```",
  "- in a list:",
  "  ```javascript",
  "  export const twice = (x) => 2 * x;",
  "  missing();",
  "  ```",
  "````ts fragment",
  "await world.send(bytes, { dest: 1 });",
  "````",
  "```ts",
  "export const alone = world;",
  "```",
  "```sh",
  "not code",
  "```",
  "```js",
  "// run: 3",
  'console.log("ring");',
  "```",
  "which prints",
  "```text",
  "ring",
  "```",
  "```js",
  "// run: node",
  "console.log(process.argv.length);",
  "```",
].join("\n");

const samples = snippetsIn("sample.md", sample);
const snippets = documents().flatMap((path) => snippetsOf(path));
const problems = check([...samples, ...snippets]);

const place = ({ file, line }: Snippet) => `${file}:${line}`;

describe("the checker", () => {
  it("finds the blocks", () => {
    expect(samples.map(({ line, language, fragment, ranks }) => [line, language, fragment, ranks])).toEqual([
      [3, "ts", false, undefined],
      [7, "js", false, undefined],
      [11, "ts", true, undefined],
      [14, "ts", false, undefined],
      [20, "js", false, 3],
      [28, "js", false, "node"],
    ]);
    expect(samples.at(-2)?.output).toBe("ring");
  });

  it("sees what is wrong and where", () => {
    expect(samples.map((snippet) => problems.get(snippet))).toEqual([
      [expect.stringMatching(/^sample\.md:3: Type 'string' is not assignable/)],
      [expect.stringMatching(/^sample\.md:8: Cannot find name 'missing'/)],
      [],
      [expect.stringMatching(/^sample\.md:14: Cannot find name 'world'/)],
      [],
      [],
    ]);
  });
});

describe("the documentation's snippets compile", () => {
  it("there are documents", () => {
    expect(documents()).not.toEqual([]);
  });

  for (const snippet of snippets) {
    it(place(snippet), () => {
      expect(problems.get(snippet)).toEqual([]);
    });
  }
});

describe("the documentation's programs print what it says", () => {
  for (const snippet of snippets.filter(({ ranks }) => ranks !== undefined)) {
    it(`${place(snippet)} ${snippet.ranks === "node" ? "alone" : `on ${snippet.ranks} ranks`}`, async () => {
      const { code, stdout, stderr } = await run(snippet);
      assert.equal(code, 0, stderr);
      if (snippet.output !== undefined) expect(linesOf(stdout)).toEqual(linesOf(snippet.output));
    });
  }
});
