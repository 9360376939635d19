// Which documents there are.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

/** README.md and docs/, as far as they are there. */
export function documents(): string[] {
  const folder = join(ROOT, "docs");
  const inside = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".md")) : [];
  return [join(ROOT, "README.md"), ...inside.map((name) => join(folder, name))].filter(existsSync);
}
