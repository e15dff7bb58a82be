/** Which runs are shown in the charts, as the address says it: all but some, or only some. */
import { joinParam, splitParam } from "../routing/router.svelte";

/** A comma alone names no run, and is none. */
const NOBODY = ",";

export type Eyes = { mode: "all-but" | "only"; ids: ReadonlySet<string> };

export function readEyes(hidden: string | null, only: string | null): Eyes {
  if (only !== null) return { mode: "only", ids: new Set(only === NOBODY ? [] : splitParam(only)) };
  return { mode: "all-but", ids: new Set(splitParam(hidden)) };
}

/** The parameters of the address; null removes one. */
export function eyeParams({ mode, ids }: Eyes): { hidden: string | null; only: string | null } {
  const list = joinParam(ids);
  return mode === "only" ? { hidden: null, only: list || NOBODY } : { hidden: list || null, only: null };
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
