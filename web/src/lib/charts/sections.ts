/** Groups metrics into the sections of the chart grid, by the part of the key before the first `/`. */

export interface Section {
  /** The part before `/`; "" for keys without one. */
  name: string;
  keys: string[];
}

const order = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

/** The order of metrics wherever they stand beside each other: by section, then by name. */
export function compareMetrics(a: string, b: string): number {
  const [first, second] = [sectionName(a), sectionName(b)];
  return lead(first) - lead(second) || order.compare(first, second) || order.compare(a, b);
}

function sectionName(key: string): string {
  const slash = key.indexOf("/");
  return slash > 0 ? key.slice(0, slash) : "";
}

export function sectionsOf(keys: readonly string[]): Section[] {
  const sections = new Map<string, string[]>();
  for (const key of keys) {
    const name = sectionName(key);
    const known = sections.get(name);
    if (known) known.push(key);
    else sections.set(name, [key]);
  }
  return [...sections]
    .map(([name, members]) => ({ name, keys: members.sort(order.compare) }))
    .sort((a, b) => lead(a.name) - lead(b.name) || order.compare(a.name, b.name));
}

/** What a panel is called inside its section. */
export function panelName(key: string): string {
  const slash = key.indexOf("/");
  if (key.trim() === "") return JSON.stringify(key);
  return slash > 0 && slash + 1 < key.length ? key.slice(slash + 1) : key;
}

/** The keys that a search finds: as a regular expression, or as plain text where it is none. */
export function searchKeys(keys: readonly string[], search: string): string[] {
  if (!search) return [...keys];
  try {
    const pattern = new RegExp(search, "i");
    return keys.filter((key) => pattern.test(key));
  } catch {
    const text = search.toLowerCase();
    return keys.filter((key) => key.toLowerCase().includes(text));
  }
}

/** What stands first: what is learnt, then how it holds. */
const LEADING = ["", "train", "val", "valid", "validation", "eval", "test"];

function lead(name: string): number {
  const place = LEADING.indexOf(name.toLowerCase());
  return place < 0 ? LEADING.length : place;
}
