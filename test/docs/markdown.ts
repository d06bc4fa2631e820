import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

/** A fenced block of a page. `background` blocks keep running until the page ends. */
export type Block = { line: number; language: string; background: boolean; code: string };

/** The fenced blocks of a page, top to bottom. @throws when a fence is never closed */
export function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = [];
  let open: { line: number; info: string; fence: string; lines: string[] } | undefined;
  for (const [index, line] of markdown.split("\n").entries()) {
    if (open === undefined) {
      const start = /^(?<fence>`{3,})(?<info>.*)$/u.exec(line);
      if (start?.groups === undefined) continue;
      const { fence = "", info = "" } = start.groups;
      open = { line: index + 1, info: info.trim(), fence, lines: [] };
    } else if (line.trimEnd() === open.fence) {
      const [language = "", ...words] = open.info.split(/\s+/u);
      blocks.push({
        line: open.line,
        language,
        background: words.includes("background"),
        code: `${open.lines.join("\n")}\n`,
      });
      open = undefined;
    } else {
      open.lines.push(line);
    }
  }
  if (open !== undefined) throw new Error(`the block in line ${open.line} is never closed`);
  return blocks;
}

/** Prose only: what stands in code is neither a link nor a heading. */
const proseOf = (markdown: string): string =>
  markdown
    .replaceAll(/^(`{3,}).*\n[\s\S]*?\n\1$/gmu, "")
    .replaceAll(/`[^`\n]*`/gu, (code) => code.replaceAll(/[[\]()#]/gu, " "));

/** The anchors GitHub gives the headings of a page. */
function anchorsOf(markdown: string): Set<string> {
  const anchors = new Set<string>();
  const headings = markdown
    .replaceAll(/^(`{3,}).*\n[\s\S]*?\n\1$/gmu, "")
    .matchAll(/^#{1,6} (.*)$/gmu);
  for (const [, text = ""] of headings) {
    const slug = text
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\p{M}_\- ]/gu, "")
      .replaceAll(" ", "-");
    let anchor = slug;
    for (let n = 1; anchors.has(anchor); n += 1) anchor = `${slug}-${n}`;
    anchors.add(anchor);
  }
  return anchors;
}

/** One sentence for each relative link of a page that leads nowhere. */
export function brokenLinks(root: string, page: string): string[] {
  const broken: string[] = [];
  const markdown = readFileSync(join(root, page), "utf8");
  for (const [, target = ""] of proseOf(markdown).matchAll(/\]\(\s*([^)\s]+)\s*\)/gu)) {
    if (/^[a-z][a-z+.-]*:/iu.test(target)) continue;
    const [path = "", anchor] = target.split("#");
    const file = path === "" ? join(root, page) : join(root, dirname(page), path);
    if (!existsSync(file)) broken.push(`${page}: ${target} does not exist`);
    else if (anchor !== undefined && statSync(file).isFile()) {
      if (!anchorsOf(readFileSync(file, "utf8")).has(anchor)) {
        broken.push(`${page}: ${target} has no such heading`);
      }
    }
  }
  return broken;
}
