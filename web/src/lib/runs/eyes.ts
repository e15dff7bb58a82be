/** Which runs are shown in the charts, as the address says it: all but some, or only some. */

export type Eyes = { mode: "all-but" | "only"; ids: ReadonlySet<string> };

export function readEyes(hidden: string | null, only: string | null): Eyes {
  const list = (text: string): Set<string> => new Set(text.split(",").filter(Boolean));
  if (only !== null) return { mode: "only", ids: only === "-" ? new Set() : list(only) };
  return { mode: "all-but", ids: list(hidden ?? "") };
}

/** The parameters of the address; null removes one. */
export function eyeParams({ mode, ids }: Eyes): { hidden: string | null; only: string | null } {
  const list = [...ids].join(",");
  return mode === "only" ? { hidden: null, only: list || "-" } : { hidden: list || null, only: null };
}

export function isShown({ mode, ids }: Eyes, id: string): boolean {
  return ids.has(id) === (mode === "only");
}

export function toggled(eyes: Eyes, id: string): Eyes {
  const ids = new Set(eyes.ids);
  if (!ids.delete(id)) ids.add(id);
  return { mode: eyes.mode, ids };
}

export function onlyThis(id: string): Eyes {
  return { mode: "only", ids: new Set([id]) };
}

export const ALL: Eyes = { mode: "all-but", ids: new Set() };
export const NONE: Eyes = { mode: "only", ids: new Set() };
