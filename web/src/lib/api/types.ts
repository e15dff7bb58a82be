/** What the HTTP API answers, from the server's OpenAPI document (`npm run types`). Times are unix seconds. */
import type { Json } from "./numbers";
import type { components } from "./schema";

type Schemas = components["schemas"];
export type JsonObject = { [key: string]: Json };

/** The documents of a run arrive decoded (see numbers.ts). */
type Decoded<T, Keys extends keyof T> = Omit<T, Keys> & { [Key in Keys]: JsonObject };

export type ServerInfo = Schemas["Server"];
export type Project = Schemas["Project"];
export type ProjectMetric = Schemas["ProjectMetric"];
export type Column = Schemas["Column"];
export type Run = Decoded<Schemas["Run"], "config" | "summary">;
export type RunState = Run["state"];
export type RunMetric = Schemas["RunMetric"];
export type RunDetail = Decoded<Schemas["RunDetail"], "config" | "summary" | "environment">;
export type RecordingSettings = Schemas["RecordingSettings"];
export type ChangedSettings = Schemas["ChangedChoices"];
export type ApiKey = Schemas["Key"];
export type RunsPage = Omit<Schemas["RunsPage"], "runs"> & { runs: Run[] };
export type RunFile = Schemas["RunFile"];
export type PendingFile = Schemas["PendingFile"];
export type RunFiles = Schemas["RunFiles"];
export type ConsoleLine = Schemas["ConsoleLine"];
export type ConsoleLane = Schemas["ConsoleLane"];
export type ConsolePage = Schemas["ConsolePage"];
export type ConsoleMatches = Schemas["ConsoleMatches"];
export type SeriesQuery = Required<Schemas["SeriesQuestion"]>;
export type XAxis = SeriesQuery["x"];
export type Stream = SeriesQuery["stream"];
export type RunSystem = Schemas["RunSystem"];
export type SystemMetric = Schemas["SystemMetric"];
