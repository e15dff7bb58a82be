/** Markdown as plain data, which components draw: no HTML of a file's author ever reaches the page.
 *
 * What people write in READMEs and notebooks: headings, paragraphs, lists, quotes, code, tables, rules, emphasis,
 * links. Images are named, not loaded; HTML is shown as the text that it is.
 */

export type Inline =
  | { kind: "text"; text: string }
  | { kind: "code"; text: string }
  | { kind: "strong"; inside: Inline[] }
  | { kind: "em"; inside: Inline[] }
  | { kind: "del"; inside: Inline[] }
  | { kind: "link"; href: string | null; inside: Inline[] }
  | { kind: "break" };

export type Block =
  | { kind: "heading"; level: number; inside: Inline[] }
  | { kind: "paragraph"; inside: Inline[] }
  | { kind: "code"; language: string; text: string }
  | { kind: "quote"; blocks: Block[] }
  | { kind: "list"; ordered: boolean; start: number; items: { done: boolean | null; blocks: Block[] }[] }
  | { kind: "table"; header: Inline[][]; rows: Inline[][][] }
  | { kind: "rule" };

const MOST_DEPTH = 12;
const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*)$/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])(?:( +)(.*)|$)/;

export function parseMarkdown(text: string): Block[] {
  return blocksOf(text.replace(/\r\n?/g, "\n").replace(/\t/g, "    ").split("\n"), 0);
}

function blocksOf(lines: readonly string[], depth: number): Block[] {
  if (depth > MOST_DEPTH) return [{ kind: "code", language: "", text: lines.join("\n") }];
  const blocks: Block[] = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at]!;
    const fence = FENCE.exec(line);
    const heading = HEADING.exec(line);
    if (line.trim() === "") at++;
    else if (fence) {
      const close = new RegExp(`^ {0,3}${fence[1]![0]}{${fence[1]!.length},}\\s*$`);
      let end = at + 1;
      while (end < lines.length && !close.test(lines[end]!)) end++;
      blocks.push({ kind: "code", language: fence[2]!.trim(), text: lines.slice(at + 1, end).join("\n") });
      at = end + 1;
    } else if (heading) {
      blocks.push({ kind: "heading", level: heading[1]!.length, inside: inlinesOf(withoutMarks(heading[2]!)) });
      at++;
    } else if (RULE.test(line)) {
      blocks.push({ kind: "rule" });
      at++;
    } else if (/^ {0,3}>/.test(line)) {
      const end = runOf(lines, at, (each) => /^ {0,3}>/.test(each) || (each.trim() !== "" && !startsBlock(each)));
      const inner = lines.slice(at, end).map((each) => each.replace(/^ {0,3}> ?/, ""));
      blocks.push({ kind: "quote", blocks: blocksOf(inner, depth + 1) });
      at = end;
    } else if (/^ {4}/.test(line)) {
      const end = runOf(lines, at, (each) => /^ {4}/.test(each) || each.trim() === "");
      blocks.push({ kind: "code", language: "", text: lines.slice(at, end).map((each) => each.slice(4)).join("\n").trimEnd() });
      at = end;
    } else if (ITEM.test(line)) {
      at = takeList(lines, at, blocks, depth);
    } else if (line.includes("|") && isDelimiters(lines[at + 1] ?? "")) {
      const end = runOf(lines, at + 2, (each) => each.includes("|"));
      const rows = lines.slice(at + 2, end).map((each) => cellsOf(each).map(inlinesOf));
      blocks.push({ kind: "table", header: cellsOf(line).map(inlinesOf), rows });
      at = end;
    } else {
      const end = runOf(lines, at + 1, (each) => each.trim() !== "" && !startsBlock(each) && !/^ {0,3}(=+|-+)\s*$/.test(each));
      const under = /^ {0,3}(=+|-+)\s*$/.exec(lines[end] ?? "");
      const inside = inlinesOf(lines.slice(at, end).map((each) => each.trimStart()).join("\n"));
      blocks.push(under ? { kind: "heading", level: under[1]!.startsWith("=") ? 1 : 2, inside } : { kind: "paragraph", inside });
      at = end + (under ? 1 : 0);
    }
  }
  return blocks;
}

function takeList(lines: readonly string[], from: number, blocks: Block[], depth: number): number {
  const first = ITEM.exec(lines[from]!)!;
  const ordered = /\d/.test(first[2]!);
  const items: { done: boolean | null; blocks: Block[] }[] = [];
  let at = from;
  while (at < lines.length) {
    const item = ITEM.exec(lines[at]!);
    if (!item || /\d/.test(item[2]!) !== ordered || RULE.test(lines[at]!)) break;
    const indent = item[1]!.length + item[2]!.length + Math.min(Math.max(item[3]?.length ?? 1, 1), 4);
    const inner = [item[4] ?? ""];
    at++;
    while (at < lines.length) {
      const line = lines[at]!;
      const deeper = line.length - line.trimStart().length >= indent;
      if (line.trim() === "") {
        // A blank line ends the item unless it goes on further in.
        const end = runOf(lines, at, (each) => each.trim() === "");
        const next = lines[end];
        if (next === undefined || next.length - next.trimStart().length < indent) break;
        while (at < end - 1) inner.push(lines[at++]!.trim());
        inner.push("");
      } else if (deeper) inner.push(line.slice(indent));
      else if (startsBlock(line)) break;
      else inner.push(line.trimStart());
      at++;
    }
    const task = /^\[([ xX])\]\s+/.exec(inner[0]!);
    if (task) inner[0] = inner[0]!.slice(task[0].length);
    items.push({ done: task ? task[1] !== " " : null, blocks: blocksOf(inner, depth + 1) });
    while (at < lines.length && lines[at]!.trim() === "" && ITEM.test(lines[at + 1] ?? "")) at++;
  }
  blocks.push({ kind: "list", ordered, start: ordered ? Number.parseInt(first[2]!, 10) : 1, items });
  return at;
}

function runOf(lines: readonly string[], from: number, goesOn: (line: string) => boolean): number {
  let at = from;
  while (at < lines.length && goesOn(lines[at]!)) at++;
  return at;
}

function startsBlock(line: string): boolean {
  return FENCE.test(line) || HEADING.test(line) || RULE.test(line) || ITEM.test(line) || /^ {0,3}>/.test(line);
}

/** A heading's text without the signs that may close it. By hand: an expression would try every blank of a long line. */
function withoutMarks(text: string): string {
  const whole = text.trimEnd();
  let end = whole.length;
  while (whole[end - 1] === "#") end--;
  return end === 0 || /\s/.test(whole[end - 1]!) ? whole.slice(0, end).trimEnd() : whole;
}

/** Whether this is the line below a table's header. */
function isDelimiters(line: string): boolean {
  return line.includes("-") && /^[\s|:-]+$/.test(line) && cellsOf(line).every((cell) => /^:?-+:?$/.test(cell));
}

function cellsOf(line: string): string[] {
  const inner = line.trim().replace(/^\|/, "").replace(/(^|[^\\])\|$/, "$1");
  return inner.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
}

const SPECIAL = /[\\`[!<h*_~ ]/g;
const AUTO = /<((?:https?:\/\/|mailto:)[^\s<>]+)>/y;
const BARE = /https?:\/\/[^\s<>]{1,2000}/y;
const TARGET = /\(\s*<?((?:[^\s<>()]|\([^\s<>()]*\))*)>?(?:\s+(?:"[^"]*"|'[^']*'))?\s*\)/y;
const BREAK = /(?: {2,}|\\)\n/y;
const WORD = /[\p{L}\p{N}]/u;
/** How far a link's text may go. */
const MOST_LINK = 1000;

/** The parts of a paragraph. Each sign is looked at once a level, whatever the text. */
export function inlinesOf(text: string, depth = 0): Inline[] {
  if (depth > MOST_DEPTH) return [{ kind: "text", text }];
  const out: Inline[] = [];
  /** Delimiters that nothing closes from here on. */
  const dead = new Set<string>();
  let from = 0;
  let at = 0;
  while (at < text.length) {
    SPECIAL.lastIndex = at;
    const special = SPECIAL.exec(text);
    if (!special) break;
    at = special.index;
    const found = inlineAt(text, at, depth, dead);
    if (!found) {
      const sign = text[at]!;
      while (text[++at] === sign);
      continue;
    }
    if (at > from) out.push({ kind: "text", text: text.slice(from, at) });
    out.push(found.part);
    from = at = found.end;
  }
  if (from < text.length) out.push({ kind: "text", text: text.slice(from) });
  return out;
}

interface Found {
  part: Inline;
  end: number;
}

function inlineAt(text: string, at: number, depth: number, dead: Set<string>): Found | null {
  switch (text[at]) {
    case "`":
      return codeAt(text, at, dead);
    case "!":
    case "[":
      return linkAt(text, at, depth);
    case "<":
    case "h":
      return addressAt(text, at);
    case "*":
    case "_":
    case "~":
      return emphasisAt(text, at, depth, dead);
    default: {
      const end = stuck(BREAK, text, at);
      if (end) return { part: { kind: "break" }, end: at + end[0].length };
      const escaped = text[at] === "\\" ? text[at + 1] : undefined;
      return escaped && /[!-/:-@[-`{-~]/.test(escaped) ? { part: { kind: "text", text: escaped }, end: at + 2 } : null;
    }
  }
}

function stuck(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

function runAt(text: string, at: number): number {
  let end = at;
  while (text[end] === text[at]) end++;
  return end - at;
}

function codeAt(text: string, at: number, dead: Set<string>): Found | null {
  const run = runAt(text, at);
  if (dead.has(`\`${run}`)) return null;
  for (let close = text.indexOf("`", at + run); close >= 0; ) {
    const length = runAt(text, close);
    if (length === run) {
      const inner = text.slice(at + run, close).replaceAll("\n", " ");
      return { part: { kind: "code", text: inner.replace(/^ (.*\S.*) $/, "$1") }, end: close + run };
    }
    close = text.indexOf("`", close + length);
  }
  dead.add(`\`${run}`);
  return null;
}

function linkAt(text: string, at: number, depth: number): Found | null {
  const open = text[at] === "!" ? at + 1 : at;
  if (text[open] !== "[") return null;
  const last = Math.min(text.length, open + MOST_LINK);
  let level = 0;
  let close = open;
  for (; close < last; close++) {
    if (text[close] === "\\") close++;
    else if (text[close] === "[") level++;
    else if (text[close] === "]" && --level === 0) break;
  }
  if (text[close] !== "]" || text[close + 1] !== "(") return null;
  const target = stuck(TARGET, text, close + 1);
  if (!target) return null;
  const label = text.slice(open + 1, close) || target[1]!;
  const href = open > at ? null : safeLink(target[1]!);
  return { part: { kind: "link", href, inside: inlinesOf(label, depth + 1) }, end: close + 1 + target[0].length };
}

function addressAt(text: string, at: number): Found | null {
  const marked = stuck(AUTO, text, at);
  if (marked) return { part: { kind: "link", href: safeLink(marked[1]!), inside: [{ kind: "text", text: marked[1]! }] }, end: at + marked[0].length };
  const bare = text[at] === "h" && !WORD.test(text[at - 1] ?? " ") ? stuck(BARE, text, at) : null;
  if (!bare) return null;
  let href = bare[0].replace(/[.,;:!?'"*_~\]]+$/, "");
  if (href.endsWith(")") && !href.includes("(")) href = href.replace(/\)+$/, "");
  const safe = safeLink(href);
  return safe ? { part: { kind: "link", href: safe, inside: [{ kind: "text", text: href }] }, end: at + href.length } : null;
}

function emphasisAt(text: string, at: number, depth: number, dead: Set<string>): Found | null {
  const sign = text[at]!;
  const run = runAt(text, at);
  const width = run >= 2 ? 2 : 1;
  const name = sign + width;
  const after = text[at + run];
  const inWord = width === 1 && WORD.test(text[at - 1] ?? " ");
  if ((sign === "~" && width === 1) || after === undefined || /\s/.test(after) || inWord || dead.has(name)) return null;
  for (let close = text.indexOf(sign, at + run); close >= 0; ) {
    const length = runAt(text, close);
    const fits = width === 2 ? length >= 2 : length % 2 === 1 && !WORD.test(text[close + length] ?? " ");
    if (fits && !/\s/.test(text[close - 1]!)) {
      // Of a longer run the last signs close this, and what is before them is the inner text's.
      const inside = inlinesOf(text.slice(at + width, close + length - width), depth + 1);
      return { part: { kind: width === 1 ? "em" : sign === "~" ? "del" : "strong", inside }, end: close + length };
    }
    close = text.indexOf(sign, close + length);
  }
  dead.add(name);
  return null;
}

/** An address that may be opened from the page: a web page or a mail, nothing that runs or looks like our own. */
export function safeLink(href: string): string | null {
  try {
    const url = new URL(href);
    return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}
