/** Config and summary as the rows of a tree that folds and can be searched. */
import type { Json } from "../api/numbers";
import type { JsonObject } from "../api/types";

export interface TreeRow {
  /** The path, which is unique. */
  id: string;
  key: string;
  depth: number;
  value: Json;
  branch: boolean;
  open: boolean;
  /** Number of keys of a branch. */
  size: number;
}

/** The rows to show; with a search those branches and leaves whose key or value holds the text, all open. */
export function treeRows(tree: JsonObject, closed: ReadonlySet<string>, search: string, path = "", depth = 0): TreeRow[] {
  const rows: TreeRow[] = [];
  for (const [key, value] of Object.entries(tree).sort(([a], [b]) => compare(a, b))) {
    // A slash within a key is another one than that between two.
    const id = `${path}/${key.replace(/[~/]/g, (sign) => (sign === "/" ? "~1" : "~0"))}`;
    const branch = isMap(value) && Object.keys(value).length > 0;
    if (!branch) {
      if (search && !`${id.replace(/~1/g, "/").replace(/~0/g, "~")} ${leafText(value)}`.toLowerCase().includes(search)) continue;
      rows.push({ id, key, depth, value, branch: false, open: false, size: 0 });
      continue;
    }
    const open = search !== "" || !closed.has(id);
    const below = open ? treeRows(value, closed, search, id, depth + 1) : [];
    if (search && below.length === 0) continue;
    rows.push({ id, key, depth, value, branch: true, open, size: Object.keys(value).length }, ...below);
  }
  return rows;
}

function isMap(value: Json): value is JsonObject {
  return value !== null && typeof value === "object" && !Array.isArray(value) && !(value instanceof Uint8Array);
}

// What the SDK adds begins with an underscore and stands last.
function compare(a: string, b: string): number {
  const reserved = Number(a.startsWith("_")) - Number(b.startsWith("_"));
  return reserved || a.localeCompare(b, "en", { numeric: true });
}

function leafText(value: Json): string {
  return typeof value === "object" && value !== null ? copyText(value) : String(value);
}

/** JSON for the clipboard: big integers with all their digits, NaN and the infinities as Python's json writes them. */
export function copyText(value: Json, indent = ""): string {
  const deeper = `${indent}  `;
  if (Array.isArray(value)) return `[${value.map((item) => copyText(item, indent)).join(", ")}]`;
  if (value instanceof Uint8Array) return JSON.stringify(`bytes (${value.length})`);
  if (value !== null && typeof value === "object") {
    const items = Object.entries(value).map(([key, item]) => `${deeper}${JSON.stringify(key)}: ${copyText(item, deeper)}`);
    return items.length === 0 ? "{}" : `{\n${items.join(",\n")}\n${indent}}`;
  }
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}
