/** What the HTTP API answers, in the names of docs/contract.md. Times are unix seconds. */
import type { Json } from "./numbers";

export type RunState = "running" | "finished" | "failed" | "crashed" | "killed" | "no_contact";
export type JsonObject = { [key: string]: Json };

export interface ServerInfo {
  server_id: string;
  version: string;
  authenticated: boolean;
  local: boolean;
}

export interface Project {
  entity: string;
  name: string;
  runs: number;
  running: number;
  created: number;
  last_activity: number | null;
}

export interface Run {
  entity: string;
  project: string;
  id: string;
  uid: string;
  name: string;
  state: RunState;
  exit_code: number | null;
  reason: string | null;
  created: number;
  started: number | null;
  ended: number | null;
  updated: number | null;
  runtime: number | null;
  host: string | null;
  user: string | null;
  command: string | null;
  notes: string | null;
  tags: string[];
  group: string | null;
  job_type: string | null;
  config: JsonObject;
  summary: JsonObject;
  last_step: number | null;
  rows: number;
  at: number;
  color: number;
  source_gone: boolean;
  url: string | null;
}

export interface RunMetric {
  key: string;
  type: string;
  count: number;
  nan: number;
  pinf: number;
  ninf: number;
  min: number | null;
  max: number | null;
  last: number | null;
  step_min: number | null;
  step_max: number | null;
}

export interface RunDetail extends Run {
  environment: JsonObject;
  lanes: { lane: number; label: string }[];
  metrics: RunMetric[];
  damage: string | null;
}

export interface Column {
  key: string;
  type: "num" | "txt" | "bool" | "any";
  count: number;
}

export interface RunsPage {
  runs: Run[];
  columns: Column[];
  more: boolean;
}

export interface ProjectMetric {
  key: string;
  runs: number;
  points_max: number;
  type: string;
}

export type XAxis = "_step" | "_runtime" | "_timestamp";

export interface SeriesQuery {
  entity: string;
  project: string;
  runs: string[];
  keys: string[];
  x: XAxis;
  min: number | null;
  max: number | null;
  buckets: number;
}
