/** What a click on a column's header makes of the order. */

// Names and words read from a; times, numbers and results are wanted with the newest or largest first.
const ASCENDING_FIRST = new Set(["name", "state", "notes", "tags"]);

/** The next order: a click sorts by this column alone, and turns it round; with `add` the others stay before it. */
export function nextSort(sort: readonly string[], key: string, add: boolean): string[] {
  const now = sort.find((each) => each.replace(/^-/, "") === key);
  const next = now === undefined ? (ASCENDING_FIRST.has(key) ? key : `-${key}`) : now.startsWith("-") ? key : `-${key}`;
  if (!add) return [next];
  return now === undefined ? [...sort, next] : sort.map((each) => (each === now ? next : each));
}
