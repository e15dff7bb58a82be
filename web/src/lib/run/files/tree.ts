/** A list of paths as the rows of a tree of folders that open and close. */

export interface Listed {
  path: string;
}

export interface FileRow<T extends Listed> {
  /** The path, which is unique; a folder's ends with a slash. */
  id: string;
  name: string;
  depth: number;
  /** The file, absent for a folder. */
  file: T | null;
  open: boolean;
  /** How many files a folder holds, those of its own folders included. */
  count: number;
  /** Place among the entries of its folder, from 1, and how many these are. */
  place: number;
  siblings: number;
}

interface Folder<T> {
  folders: Map<string, Folder<T>>;
  files: { name: string; file: T }[];
  count: number;
}

/** The rows that are visible; with a search the files whose path holds each of its words, all folders open. */
export function fileRows<T extends Listed>(files: readonly T[], isOpen: (folder: string) => boolean, search: string): FileRow<T>[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const root: Folder<T> = { folders: new Map(), files: [], count: 0 };
  for (const file of files) {
    const lower = file.path.toLowerCase();
    if (!words.every((word) => lower.includes(word))) continue;
    const parts = file.path.split("/");
    let folder = root;
    folder.count++;
    for (const part of parts.slice(0, -1)) {
      let inner = folder.folders.get(part);
      if (!inner) folder.folders.set(part, (inner = { folders: new Map(), files: [], count: 0 }));
      folder = inner;
      folder.count++;
    }
    folder.files.push({ name: parts[parts.length - 1]!, file });
  }
  const rows: FileRow<T>[] = [];
  add(rows, root, "", 0, words.length > 0 ? () => true : isOpen);
  return rows;
}

function add<T extends Listed>(rows: FileRow<T>[], folder: Folder<T>, above: string, depth: number, isOpen: (folder: string) => boolean): void {
  const siblings = folder.folders.size + folder.files.length;
  let place = 0;
  for (const [name, inner] of [...folder.folders].sort(([a], [b]) => byName(a, b))) {
    const id = `${above}${name}/`;
    const open = isOpen(id);
    rows.push({ id, name, depth, file: null, open, count: inner.count, place: ++place, siblings });
    if (open) add(rows, inner, id, depth + 1, isOpen);
  }
  for (const { name, file } of folder.files.sort((a, b) => byName(a.name, b.name))) {
    rows.push({ id: file.path, name, depth, file, open: false, count: 0, place: ++place, siblings });
  }
}

const collator = new Intl.Collator("en", { numeric: true });

function byName(a: string, b: string): number {
  return collator.compare(a, b) || (a < b ? -1 : 1);
}

/** The folders above a path, each with its slash. */
export function foldersOf(path: string): string[] {
  const parts = path.split("/").slice(0, -1);
  return parts.map((_, i) => `${parts.slice(0, i + 1).join("/")}/`);
}
