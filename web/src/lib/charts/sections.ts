/** Groups metrics into the sections of the chart grid, by the part of the key before the first `/`. */
import type { Section } from "./chart";

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

/** A chart for each metric; `noPrefix` is the title of those without a `/`. */
export function sectionsOf(keys: readonly string[], noPrefix: string): Section[] {
  const sections = new Map<string, string[]>();
  for (const key of keys) {
    const name = sectionName(key);
    const known = sections.get(name);
    if (known) known.push(key);
    else sections.set(name, [key]);
  }
  return [...sections]
    .map(([name, members]) => ({
      name,
      title: name || noPrefix,
      charts: members.sort(order.compare).map((key) => ({ id: key, title: panelName(key), name: key, keys: [key] })),
    }))
    .sort((a, b) => lead(a.name) - lead(b.name) || order.compare(a.name, b.name));
}

/** What a panel is called inside its section. */
export function panelName(key: string): string {
  const slash = key.indexOf("/");
  if (key.trim() === "") return JSON.stringify(key);
  return slash > 0 && slash + 1 < key.length ? key.slice(slash + 1) : key;
}

/** The charts whose title or metrics a search finds: as a regular expression, or as plain text where it is none. */
export function searchSections(sections: readonly Section[], search: string): Section[] {
  if (!search) return [...sections];
  const finds = matcher(search);
  return sections
    .map((section) => ({ ...section, charts: section.charts.filter(({ name, keys }) => finds(name) || keys.some(finds)) }))
    .filter(({ charts }) => charts.length > 0);
}

function matcher(search: string): (text: string) => boolean {
  try {
    const pattern = new RegExp(search, "i");
    return (text) => pattern.test(text);
  } catch {
    const wanted = search.toLowerCase();
    return (text) => text.toLowerCase().includes(wanted);
  }
}

/** What stands first: what is learnt, then how it holds. */
const LEADING = ["", "train", "val", "valid", "validation", "eval", "test"];

function lead(name: string): number {
  const place = LEADING.indexOf(name.toLowerCase());
  return place < 0 ? LEADING.length : place;
}
