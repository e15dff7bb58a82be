/** Comma- or tab-separated values as rows of cells (RFC 4180: quotes, doubled quotes, line breaks in quotes). */

export interface Table {
  header: string[];
  rows: string[][];
  /** More rows follow that are not read. */
  more: boolean;
}

/** The first `most` rows of a text after its header; `whole` is false where the text is only a file's beginning. */
export function parseTable(text: string, separator: string, most: number, whole: boolean): Table {
  const rows: string[][] = [];
  let row: string[] = [];
  let cell = "";
  let quoted = false;
  let at = text.charCodeAt(0) === 0xfeff ? 1 : 0;
  const end = text.length;
  const endRow = (): void => {
    row.push(cell);
    // A line without anything on it is no row.
    if (row.length > 1 || cell !== "") rows.push(row);
    row = [];
    cell = "";
  };
  for (; at < end && rows.length <= most; at++) {
    const sign = text[at]!;
    if (quoted) {
      if (sign !== '"') cell += sign;
      else if (text[at + 1] === '"') cell += text[++at]!;
      else quoted = false;
    } else if (sign === '"' && cell === "") quoted = true;
    else if (sign === separator) {
      row.push(cell);
      cell = "";
    } else if (sign === "\n" || sign === "\r") {
      if (sign === "\r" && text[at + 1] === "\n") at++;
      endRow();
    } else {
      let next = at + 1;
      while (next < end && !STOPS.has(text[next]!) && text[next] !== separator) next++;
      cell += text.slice(at, next);
      at = next - 1;
    }
  }
  // The last line of a beginning may be cut: it is shown once it is whole.
  if (at >= end && whole && (row.length > 0 || cell !== "")) endRow();
  const [header = [], ...body] = rows;
  return { header, rows: body.slice(0, most), more: at < end || !whole };
}

const STOPS = new Set(['"', "\n", "\r"]);

/** Whether every value that a column has is a number, so that it stands at the right. */
export function isNumeric(rows: readonly string[][], column: number): boolean {
  let seen = false;
  for (const row of rows) {
    const value = row[column]?.trim() ?? "";
    if (value === "" || /^(nan|[+-]?inf(inity)?)$/i.test(value)) continue;
    if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(value)) return false;
    seen = true;
  }
  return seen;
}
