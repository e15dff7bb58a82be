/** The resources of the HTTP API that the app reads. */
import { apiUrl, getJson, postForBytes, sendForJson, sendJson } from "./client";
import { decodeSeries, type Series } from "./series";
import type {
  ApiKey,
  ChangedSettings,
  ConsoleMatches,
  ConsolePage,
  Project,
  ProjectMetric,
  RecordingSettings,
  RunDetail,
  RunFiles,
  RunSystem,
  RunsPage,
  SeriesQuery,
  ServerInfo,
} from "./types";

const part = encodeURIComponent;

export function getServer(): Promise<ServerInfo> {
  return getJson("server");
}

export function signIn(key: string): Promise<void> {
  return sendJson("POST", "session", { key });
}

export function signOut(): Promise<void> {
  return sendJson("DELETE", "session");
}

export async function listProjects(): Promise<Project[]> {
  return (await getJson<{ projects: Project[] }>("projects")).projects;
}

export interface RunsQuery {
  entity: string;
  project: string;
  filter: string;
  sort: string[];
}

export function listRuns(query: RunsQuery, limit: number, offset: number, signal?: AbortSignal): Promise<RunsPage> {
  const params = new URLSearchParams();
  if (query.filter) params.set("filter", query.filter);
  for (const key of query.sort) params.append("sort", key);
  params.set("limit", String(limit));
  params.set("offset", String(offset));
  return getJson(`projects/${part(query.entity)}/${part(query.project)}/runs?${params}`, signal);
}

export async function countRuns(query: RunsQuery, signal?: AbortSignal): Promise<number> {
  const params = new URLSearchParams(query.filter ? { filter: query.filter } : {});
  const path = `projects/${part(query.entity)}/${part(query.project)}/runs/count?${params}`;
  return (await getJson<{ count: number }>(path, signal)).count;
}

export async function listMetrics(entity: string, project: string): Promise<ProjectMetric[]> {
  const path = `projects/${part(entity)}/${part(project)}/metrics`;
  return (await getJson<{ metrics: ProjectMetric[] }>(path)).metrics;
}

export function getRun(entity: string, project: string, id: string): Promise<RunDetail> {
  return getJson(`runs/${part(entity)}/${part(project)}/${part(id)}`);
}

export function listFiles(entity: string, project: string, id: string, signal?: AbortSignal): Promise<RunFiles> {
  return getJson(`runs/${part(entity)}/${part(project)}/${part(id)}/files`, signal);
}

/** Where a run's file is, below the API. */
export function filePath(entity: string, project: string, id: string, file: string): string {
  return `runs/${part(entity)}/${part(project)}/${part(id)}/files/${file.split("/").map(part).join("/")}`;
}

/** The console of one lane of a run. */
export interface ConsolePlace {
  entity: string;
  project: string;
  id: string;
  lane: number;
}

/** What is looked for in a console. */
export interface ConsoleWords {
  text: string;
  regex: boolean;
  matchCase: boolean;
}

function consolePath({ entity, project, id, lane }: ConsolePlace, below: string, params: Record<string, string>): string {
  const query = new URLSearchParams({ lane: String(lane), ...params });
  return `runs/${part(entity)}/${part(project)}/${part(id)}/console${below}?${query}`;
}

/** Lines from number `from` on; negative: counted from the end. */
export function getConsole(place: ConsolePlace, from: number, limit: number, signal?: AbortSignal): Promise<ConsolePage> {
  return getJson(consolePath(place, "", { from: String(from), limit: String(limit) }), signal);
}

export function searchConsole(
  place: ConsolePlace,
  { text, regex, matchCase }: ConsoleWords,
  from: number,
  limit: number,
  signal?: AbortSignal,
): Promise<ConsoleMatches> {
  const params = { q: text, regex: String(regex), case: String(matchCase), from: String(from), limit: String(limit) };
  return getJson(consolePath(place, "/search", params), signal);
}

/** Where the whole text of a console is. */
export function consoleTextUrl(place: ConsolePlace): string {
  return apiUrl(consolePath(place, "/text", {}));
}

export function getSystem(entity: string, project: string, id: string): Promise<RunSystem> {
  return getJson(`runs/${part(entity)}/${part(project)}/${part(id)}/system`);
}

export async function getSeries(query: SeriesQuery, signal?: AbortSignal): Promise<Series[]> {
  return decodeSeries(await postForBytes("series", query, signal), query);
}

/** A project. */
export interface Place {
  entity: string;
  project: string;
}

function settingsPath(place: Place | null): string {
  return place ? `projects/${part(place.entity)}/${part(place.project)}/settings` : "settings";
}

/** What runs record unasked: of a project, or of the whole server. */
export function getSettings(place: Place | null): Promise<RecordingSettings> {
  return getJson(settingsPath(place));
}

export function changeSettings(place: Place | null, change: ChangedSettings): Promise<RecordingSettings> {
  return sendForJson("PUT", settingsPath(place), change);
}

export async function listKeys(): Promise<ApiKey[]> {
  return (await getJson<{ keys: ApiKey[] }>("keys")).keys;
}

export function createKey(name: string): Promise<{ id: number; key: string }> {
  return sendForJson("POST", "keys", { name });
}

export function revokeKey(id: number): Promise<void> {
  return sendJson("DELETE", `keys/${id}`);
}
