// What the documentation says of itself and of the code: links that lead somewhere, an index that names every document, every error
// with its code, every law with its proof.
// Not responsible for snippets (snippets.test.ts).
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, expect, it } from "vitest";
import { documents, ROOT } from "./documents.js";
import { anchorsOf, linksOf } from "./links.js";

const read = (path: string) => readFileSync(join(ROOT, path), "utf8");

describe("links", () => {
  it("are found, and anchors are GitHub's", () => {
    const sample = '[a](b.md#c) `[no](x)`\n```ts\n[no](y)\n```\n![p](q.svg) <img src="r.svg"> [s](https://t)';
    expect(linksOf(sample)).toEqual(["b.md#c", "q.svg", "https://t", "r.svg"]);
    expect([...anchorsOf("# A `b`: (c), d_e\n```sh\n# no\n```\n## Twice\n## Twice")]).toEqual([
      "a-b-c-d_e",
      "twice",
      "twice-1",
    ]);
  });

  for (const path of documents()) {
    it(`of ${relative(ROOT, path)} lead somewhere`, () => {
      const broken = linksOf(readFileSync(path, "utf8")).filter((link) => {
        if (/^[a-z]+:/.test(link)) return false; // elsewhere
        const [file = "", anchor] = link.split("#");
        const target = file === "" ? path : join(dirname(path), file);
        if (!existsSync(target)) return true;
        return anchor !== undefined && !anchorsOf(readFileSync(target, "utf8")).has(anchor);
      });
      expect(broken).toEqual([]);
    });
  }
});

describe("the index", () => {
  it("names every document", () => {
    const named = linksOf(read("docs/index.md"));
    const all = documents().map((path) => relative(join(ROOT, "docs"), path));
    expect(all.filter((file) => file !== "index.md" && !named.includes(file))).toEqual([]);
  });
});

describe("guarantees.md", () => {
  const text = read("docs/guarantees.md");

  it("has every error code there is, once, in the order of src/errors.ts", () => {
    const declared = read("src/errors.ts").matchAll(/^ {2}\| "(ERR_CARILLON_\w+)"/gm);
    const described = text.matchAll(/^\| `(ERR_CARILLON_\w+)`/gm);
    expect(Array.from(described, ([, code]) => code)).toEqual(Array.from(declared, ([, code]) => code));
  });

  it("has every law of README.md", () => {
    const laws = /## The laws, in short\n([\s\S]*?)\n## /.exec(read("README.md"))?.[1] ?? "";
    const names = Array.from(laws.matchAll(/^- \*\*(.+?)\.\*\*/gm), ([, name]) => name);
    expect(names.length).toBeGreaterThan(5);
    expect(Array.from(text.matchAll(/^### (.+)$/gm), ([, name]) => name)).toEqual(expect.arrayContaining(names));
  });

  it("names tests that exist", () => {
    const { scripts } = JSON.parse(read("package.json"));
    const files = Array.from(text.matchAll(/`(test\/[\w./-]+)`/g), ([, path = ""]) => path);
    const commands = Array.from(text.matchAll(/`npm run ([\w:]+)`/g), ([, name = ""]) => name);
    expect(files.length).toBeGreaterThan(20);
    expect(files.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
    expect(commands.filter((name) => !(name in scripts))).toEqual([]);
  });
});
