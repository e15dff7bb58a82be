/** A line cut into pieces that look alike: its styles, its links, and what a search has found in it. */
import { parseAnsi, PLAIN, type Style } from "./ansi";

export interface Piece {
  text: string;
  style: Style;
  /** Address that it leads to. */
  href: string | null;
  /** Whether it is a part of what is searched for. */
  found: boolean;
}

type Range = [start: number, end: number];

/** An address ends before a blank, a quote, a bracket that opens nothing, and East Asian punctuation. */
const LINK = /\bhttps?:\/\/[^\s<>"'`\u3000-\u303f\uff00-\uff65]+/g;
const TRAILING = /[.,;:!?)\]}]+$/;
/** Characters of a line that are looked through for links. */
const LINKED = 20_000;

/** The stretches of `plain` that hold the words searched for. */
export type Finder = (plain: string) => Range[];

export function piecesOf(text: string, find: Finder | null): Piece[] {
  const { plain, runs } = parseAnsi(text);
  const links = linksIn(plain);
  const found = find ? find(plain) : [];
  if (runs.length + links.length + found.length === 0) return [{ text: plain, style: PLAIN, href: null, found: false }];
  const cuts = new Set([0, plain.length]);
  for (const { start } of runs) cuts.add(start);
  for (const [start, end] of [...links, ...found]) cuts.add(start).add(end);
  const edges = [...cuts].sort((a, b) => a - b);
  const pieces: Piece[] = [];
  let run = -1;
  let link = 0;
  let match = 0;
  for (let i = 0; i + 1 < edges.length; i++) {
    const [start, end] = [edges[i]!, edges[i + 1]!];
    while (run + 1 < runs.length && runs[run + 1]!.start <= start) run++;
    while (link < links.length && links[link]![1] <= start) link++;
    while (match < found.length && found[match]![1] <= start) match++;
    const inLink = link < links.length && links[link]![0] <= start;
    pieces.push({
      text: plain.slice(start, end),
      style: runs[run]?.style ?? PLAIN,
      href: inLink ? plain.slice(...links[link]!) : null,
      found: match < found.length && found[match]![0] <= start,
    });
  }
  return pieces;
}

function linksIn(plain: string): Range[] {
  if (!plain.includes("://")) return [];
  return [...plain.slice(0, LINKED).matchAll(LINK)].map((found) => {
    let address = found[0];
    // A closing bracket belongs to the address if it opens in it.
    const trailing = TRAILING.exec(address)?.[0] ?? "";
    if (!(trailing.startsWith(")") && address.includes("("))) address = address.slice(0, address.length - trailing.length);
    return [found.index, found.index + address.length];
  });
}

/** How a search is found again in a line that is shown; null where the browser cannot tell. */
export function finderOf(query: string, regex: boolean, matchCase: boolean): Finder | null {
  if (query === "") return null;
  if (!regex) return (plain) => plainRanges(matchCase ? plain : plain.toLowerCase(), matchCase ? query : query.toLowerCase());
  let pattern: RegExp;
  try {
    pattern = new RegExp(query, matchCase ? "g" : "gi");
  } catch {
    return null;
  }
  return (plain) => [...plain.matchAll(pattern)].filter(([all]) => all !== "").map((found) => [found.index, found.index + found[0].length]);
}

function plainRanges(plain: string, query: string): Range[] {
  const ranges: Range[] = [];
  for (let at = plain.indexOf(query); at >= 0; at = plain.indexOf(query, at + query.length)) ranges.push([at, at + query.length]);
  return ranges;
}
