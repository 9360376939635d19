// The links of a Markdown document and the anchors of its headings, as GitHub makes them.
// Not responsible for where they lead (documents.test.ts).

/** Without what is code: blocks and spans. */
function prose(markdown: string): string {
  return markdown.replace(/^(\s*)(`{3,}|~{3,})[^\n]*\n[\s\S]*?^\s*\2[`~]*\s*$/gm, "");
}

/** Targets of links and images, then those of <img> and <source>. */
export function linksOf(markdown: string): string[] {
  const text = prose(markdown).replace(/`[^`\n]*`/g, "`");
  const written = Array.from(text.matchAll(/\]\(([^()\s]+)(?:\s+"[^"]*")?\)/g), ([, target = ""]) => target);
  const tagged = Array.from(text.matchAll(/\b(?:src|srcset)="([^"]+)"/g), ([, target = ""]) => target);
  return [...written, ...tagged];
}

export function anchorsOf(markdown: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading = ""] of prose(markdown).matchAll(/^#{1,6} +(.+?)\s*#*$/gm)) {
    const name = heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_ -]/gu, "")
      .replaceAll(" ", "-");
    let anchor = name;
    for (let i = 1; anchors.has(anchor); i++) anchor = `${name}-${i}`;
    anchors.add(anchor);
  }
  return anchors;
}
