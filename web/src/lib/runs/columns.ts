/** The columns of the runs table: what each shows, how it is sorted and how wide it is. */
import type { Json } from "../api/numbers";
import type { Column, JsonObject, Run } from "../api/types";
import { compareMetrics } from "../charts/sections";

export type ColumnKind = "state" | "created" | "runtime" | "notes" | "tags" | "value";

export interface RunColumn {
  /** Sort key of the HTTP API: `created`, `config.lr`, `summary.val/loss`, … */
  key: string;
  kind: ColumnKind;
  /** What the header says; null where a message names the column. */
  label: string | null;
  /** Whether numbers stand in it. */
  numeric: boolean;
  /** Name of the token that holds its width. */
  width: string;
}

const FIXED: Record<string, RunColumn> = {
  state: { key: "state", kind: "state", label: null, numeric: false, width: "cell-state" },
  created: { key: "created", kind: "created", label: null, numeric: true, width: "cell-time" },
  runtime: { key: "runtime", kind: "runtime", label: null, numeric: true, width: "cell-duration" },
  notes: { key: "notes", kind: "notes", label: null, numeric: false, width: "cell-text" },
  tags: { key: "tags", kind: "tags", label: null, numeric: false, width: "cell-text" },
};

/** What the SDK adds to every summary; of these only the step is a result of the run. */
const OF_EVERY_SUMMARY = new Set(["summary._runtime", "summary._timestamp"]);

/**
 * All columns in the order that they are shown. Config keys in which the shown runs differ stand before those in which
 * they agree; the narrow pane begins with the results, the wide table with what a run was given.
 */
export function columnsFor(found: readonly Column[], shown: readonly Run[], wide: boolean): RunColumn[] {
  const config: RunColumn[] = [];
  const same: RunColumn[] = [];
  const summary: RunColumn[] = [];
  const reserved: RunColumn[] = [];
  for (const column of found) {
    if (OF_EVERY_SUMMARY.has(column.key)) continue;
    const made = valueColumn(column);
    if (column.key.startsWith("config.")) (differs(shown, column.key) ? config : same).push(made);
    else (column.key.startsWith("summary._") ? reserved : summary).push(made);
  }
  summary.sort((a, b) => compareMetrics(a.label ?? "", b.label ?? ""));
  const { state, created, runtime, notes, tags } = FIXED as Record<string, RunColumn>;
  if (!wide) return [state!, runtime!, ...summary, ...config, created!, tags!, notes!, ...same, ...reserved];
  const stateWide = { ...state!, width: "cell-state-wide" };
  return [stateWide, created!, runtime!, notes!, tags!, ...config, ...summary, ...same, ...reserved];
}

function valueColumn({ key, type }: Column): RunColumn {
  const width = { num: "cell-num", bool: "cell-bool", txt: "cell-word", any: "cell-word" }[type];
  return { key, kind: "value", label: key.slice(key.indexOf(".") + 1), numeric: type === "num", width };
}

function differs(runs: readonly Run[], key: string): boolean {
  const seen = new Set<string>();
  for (const run of runs) seen.add(String(JSON.stringify(valueAt(run, key), (_name, value: unknown) => (typeof value === "bigint" ? String(value) : value))));
  return seen.size > 1;
}

/** The value of `config.…` or `summary.…` in a run; undefined where it has none. */
export function valueAt(run: Run, key: string): Json | undefined {
  const dot = key.indexOf(".");
  return valueIn(key.startsWith("config.") ? run.config : run.summary, key.slice(dot + 1));
}

/** A nested value by its path joined with `.`; keys may hold dots themselves. */
export function valueIn(tree: JsonObject, path: string): Json | undefined {
  if (Object.hasOwn(tree, path)) return tree[path];
  for (let dot = path.indexOf("."); dot > 0; dot = path.indexOf(".", dot + 1)) {
    const child = tree[path.slice(0, dot)];
    if (child !== null && typeof child === "object" && !Array.isArray(child) && !(child instanceof Uint8Array)) {
      const found = valueIn(child, path.slice(dot + 1));
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

/** Seconds that a run has taken so far. */
export function runtimeOf(run: Run, now: number): number | null {
  const { started, runtime, state } = run;
  if (state === "running" && started !== null) return Math.max(runtime ?? 0, now - started);
  return runtime;
}
