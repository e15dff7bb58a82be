/** A patch in git's unified form: which files it changes, found in one pass; their lines, when they are looked at. */

export type DiffKind = "changed" | "added" | "deleted" | "renamed" | "copied";

export interface DiffFile {
  path: string;
  /** Where it was before, if that is another place. */
  from: string | null;
  kind: DiffKind;
  binary: boolean;
  /** `100644 → 100755`, where only that changed or changed too. */
  mode: string | null;
  additions: number;
  deletions: number;
  /** Where its hunks lie in the text. */
  start: number;
  end: number;
}

export interface DiffLine {
  kind: "same" | "added" | "deleted" | "hunk" | "note";
  /** Line numbers from 1; 0 where there is none. */
  old: number;
  new: number;
  text: string;
}

export interface Patch {
  text: string;
  files: DiffFile[];
}

/** What whoever made the patch says about it; the run's environment says the same. */
const REMARK = "# Kiseki: ";
const HUNK = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@ ?(.*)$/;

/** Find the files of a patch. A patch that ends in the middle of a file is read as far as it goes. */
export function readPatch(text: string): Patch {
  const files: DiffFile[] = [];
  let file: DiffFile | null = null;
  let oldMode = "";
  // Lines of a hunk that are still to come: one that begins with `--- ` may be a deleted line.
  let oldLeft = 0;
  let newLeft = 0;
  for (let at = 0; at < text.length; ) {
    let next = text.indexOf("\n", at);
    if (next < 0) next = text.length;
    const first = text[at];
    if (file && first === "\\" && file.start >= 0) {
      file.end = next;
    } else if (file && (oldLeft > 0 || newLeft > 0) && (first === " " || first === "+" || first === "-" || next === at)) {
      if (first === "+") {
        file.additions++;
        newLeft--;
      } else if (first === "-") {
        file.deletions++;
        oldLeft--;
      } else {
        oldLeft--;
        newLeft--;
      }
      file.end = next;
    } else {
      oldLeft = newLeft = 0;
      const line = text.slice(at, next);
      if (line.startsWith("diff --git ")) {
        file = begin(line, next + 1);
        files.push(file);
        oldMode = "";
      } else if (line.startsWith(REMARK)) {
        file = null;
      } else if (file && first === "@") {
        const hunk = HUNK.exec(line);
        if (hunk) {
          oldLeft = Number(hunk[2] ?? 1);
          newLeft = Number(hunk[4] ?? 1);
          if (file.start < 0) file.start = at;
          file.end = next;
        }
      } else if (file && file.start < 0) {
        oldMode = header(file, line, oldMode);
      }
    }
    at = next + 1;
  }
  for (const each of files) if (each.start < 0) each.start = each.end = 0;
  return { text, files };
}

/** The lines of one file of a patch, from `from` on, at most `most`; a hunk's heading is a line too. */
export function linesOf({ text }: Patch, file: DiffFile, most: number): DiffLine[] {
  const lines: DiffLine[] = [];
  let old = 0;
  let now = 0;
  for (let at = file.start; at < file.end && lines.length < most; ) {
    let next = text.indexOf("\n", at);
    if (next < 0 || next > file.end) next = file.end;
    const line = text.slice(at, next);
    const rest = line.slice(1).replace(/\r$/, "");
    const hunk = line.startsWith("@@") ? HUNK.exec(line) : null;
    if (hunk) {
      old = Number(hunk[1]);
      now = Number(hunk[3]);
      lines.push({ kind: "hunk", old: 0, new: 0, text: line });
    } else if (line.startsWith("+")) lines.push({ kind: "added", old: 0, new: now++, text: rest });
    else if (line.startsWith("-")) lines.push({ kind: "deleted", old: old++, new: 0, text: rest });
    else if (line.startsWith("\\")) lines.push({ kind: "note", old: 0, new: 0, text: line.slice(2) });
    else lines.push({ kind: "same", old: old++, new: now++, text: rest });
    at = next + 1;
  }
  return lines;
}

function begin(line: string, start: number): DiffFile {
  const [from, path] = namesOf(line.slice("diff --git ".length));
  return {
    path,
    from: from === path ? null : from,
    kind: "changed",
    binary: false,
    mode: null,
    additions: 0,
    deletions: 0,
    start: -1,
    end: start,
  };
}

/** Take one line between `diff --git` and the first hunk; returns the old mode once it is known. */
function header(file: DiffFile, line: string, oldMode: string): string {
  if (line.startsWith("new file mode ")) file.kind = "added";
  else if (line.startsWith("deleted file mode ")) file.kind = "deleted";
  else if (line.startsWith("rename from ")) [file.kind, file.from] = ["renamed", unquoted(line.slice(12))];
  else if (line.startsWith("copy from ")) [file.kind, file.from] = ["copied", unquoted(line.slice(10))];
  else if (line.startsWith("rename to ")) file.path = unquoted(line.slice(10));
  else if (line.startsWith("copy to ")) file.path = unquoted(line.slice(8));
  else if (line.startsWith("old mode ")) return line.slice(9);
  else if (line.startsWith("new mode ")) file.mode = `${oldMode} → ${line.slice(9)}`;
  else if (line.startsWith("GIT binary patch") || line.startsWith("Binary files ")) file.binary = true;
  else if (line.startsWith("+++ ") && line !== "+++ /dev/null") file.path = withoutPrefix(unquoted(line.slice(4)));
  else if (line.startsWith("--- ") && line !== "--- /dev/null") {
    const from = withoutPrefix(unquoted(line.slice(4)));
    file.from = from === file.path ? null : from;
  }
  if (file.kind === "added" || file.kind === "deleted") file.from = null;
  return oldMode;
}

/** `a/old b/new`, either of them quoted; names with blanks are told apart by being the same on both sides. */
function namesOf(text: string): [string, string] {
  const quoted = /^("(?:[^"\\]|\\.)*"|\S.*?) ("(?:[^"\\]|\\.)*")$|^("(?:[^"\\]|\\.)*") (.*)$/.exec(text);
  if (quoted) {
    const [from, to] = [quoted[1] ?? quoted[3]!, quoted[2] ?? quoted[4]!];
    return [withoutPrefix(unquoted(from)), withoutPrefix(unquoted(to))];
  }
  const half = (text.length - 1) / 2;
  const same = text[half] === " " && text.slice(2, half) === text.slice(half + 3);
  const cut = same ? half : Math.max(text.indexOf(" b/"), 0);
  return [withoutPrefix(text.slice(0, cut)), withoutPrefix(text.slice(cut + 1))];
}

function withoutPrefix(name: string): string {
  return name.replace(/^[ab]\//, "").replace(/\t$/, "");
}

const ESCAPES: Record<string, number> = { a: 7, b: 8, t: 9, n: 10, v: 11, f: 12, r: 13, '"': 34, "\\": 92 };

/** A name as git quotes it in C's way, bytes in octal. */
function unquoted(name: string): string {
  if (!name.startsWith('"') || !name.endsWith('"') || name.length < 2) return name;
  const bytes: number[] = [];
  const encoder = new TextEncoder();
  for (const [, octal, escape, plain] of name.slice(1, -1).matchAll(/\\([0-7]{3})|\\(.)|([^\\]+)/g)) {
    if (octal) bytes.push(Number.parseInt(octal, 8));
    else if (escape) bytes.push(ESCAPES[escape] ?? escape.charCodeAt(0));
    else bytes.push(...encoder.encode(plain));
  }
  return new TextDecoder().decode(new Uint8Array(bytes));
}
