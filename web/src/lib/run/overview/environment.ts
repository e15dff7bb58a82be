/** What a run stood on, read from its environment document, whose parts come from several processes and versions. */
import type { Json } from "../../api/numbers";
import type { JsonObject } from "../../api/types";

export interface Git {
  commit: string | null;
  /** The newest commit that a remote has. */
  base: string | null;
  branch: string | null;
  remote: string | null;
  dirty: boolean | null;
  ahead: number | null;
  subdir: string | null;
  untracked: string[];
  untrackedCount: number;
  submodules: { path: string; commit: string | null }[];
  note: string | null;
}

export interface DiffSummary {
  file: string;
  files: number;
  additions: number;
  deletions: number;
  truncated: boolean;
  /** Changed files that it does not hold, and why. */
  leftOut: { path: string; why: string }[];
}

export interface Gpu {
  name: string;
  bytes: number | null;
  count: number;
}

export interface RecordingChoice {
  name: string;
  value: Json;
  source: string;
}

export function text(value: Json | undefined): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

export function number(value: Json | undefined): number | null {
  return typeof value === "number" || typeof value === "bigint" ? Number(value) : null;
}

export function map(value: Json | undefined): JsonObject | null {
  const plain = value !== null && typeof value === "object" && !Array.isArray(value) && !(value instanceof Uint8Array);
  return plain ? (value as JsonObject) : null;
}

function maps(value: Json | undefined): JsonObject[] {
  return Array.isArray(value) ? value.map(map).filter((each) => each !== null) : [];
}

export function texts(value: Json | undefined): string[] {
  return Array.isArray(value) ? value.map(text).filter((each) => each !== null) : [];
}

export function gitOf(environment: JsonObject): Git | null {
  const git = map(environment.git);
  if (!git) return null;
  const untracked = texts(git.untracked);
  const commit = text(git.commit);
  return {
    commit: commit !== null && /^[0-9a-f]{7,64}$/.test(commit) ? commit : null,
    base: text(git.base),
    branch: text(git.branch),
    remote: text(git.remote),
    dirty: typeof git.dirty === "boolean" ? git.dirty : null,
    ahead: number(git.ahead),
    subdir: text(git.subdir),
    untracked,
    untrackedCount: number(git.untracked_count) ?? untracked.length,
    submodules: maps(git.submodules).map((each) => ({ path: text(each.path) ?? "", commit: text(each.commit) })),
    note: text(git.note),
  };
}

export function diffOf(environment: JsonObject): DiffSummary | null {
  const file = text(environment.diff_file);
  const diff = map(environment.diff);
  if (!file) return null;
  return {
    file,
    files: number(diff?.files) ?? 0,
    additions: number(diff?.additions) ?? 0,
    deletions: number(diff?.deletions) ?? 0,
    truncated: diff?.truncated === true,
    leftOut: maps(diff?.left_out).map((each) => ({ path: text(each.path) ?? "", why: text(each.why) ?? "" })),
  };
}

/** Equal devices as one line with their number, in the order in which they come first. */
export function gpusOf(environment: JsonObject): Gpu[] {
  const found = new Map<string, Gpu>();
  for (const each of Array.isArray(environment.gpus) ? environment.gpus : []) {
    const gpu = map(each);
    const name = text(gpu?.name);
    if (!gpu || !name) continue;
    const bytes = number(gpu.memory_bytes);
    const known = found.get(`${name} ${bytes}`);
    if (known) known.count++;
    else found.set(`${name} ${bytes}`, { name, bytes, count: 1 });
  }
  return [...found.values()];
}

/** What applied of the recording settings, and who chose it. */
export function recordingOf(environment: JsonObject): RecordingChoice[] {
  return Object.entries(map(environment.recording) ?? {}).flatMap(([name, each]) => {
    const choice = map(each);
    return choice && choice.value !== undefined ? [{ name, value: choice.value, source: text(choice.source) ?? "default" }] : [];
  });
}

/** The values of a launcher's map as lines, the ones that matter first. */
export function launcherOf(environment: JsonObject, name: "slurm" | "kubernetes" | "torchrun" | "mpi"): [string, string][] {
  const first = ["job_id", "job_name", "procid", "ntasks", "rank", "local_rank", "world_size", "local_world_size", "pod", "namespace", "node"];
  return Object.entries(map(environment[name]) ?? {})
    .filter((entry): entry is [string, string | number] => typeof entry[1] === "string" || typeof entry[1] === "number")
    .map(([key, value]): [string, string] => [key, String(value)])
    .sort(([a], [b]) => rank(a, first) - rank(b, first) || (a < b ? -1 : 1));
}

function rank(key: string, first: readonly string[]): number {
  const place = first.indexOf(key);
  return place < 0 ? first.length : place;
}
