/** The parts of a run's page in their order; the code of each is loaded when it is first opened. */
import type { Component } from "svelte";
import type { RunDetail } from "../api/types";
import type { SeriesLoader } from "../charts/loader.svelte";
import type { MessageKey } from "../i18n/messages";

export interface TabProps {
  run: RunDetail;
  /** The points of the run's charts, kept while the page is open. */
  loader: SeriesLoader;
}

export interface Tab {
  /** What `?tab=` says. */
  id: string;
  name: MessageKey;
  load: () => Promise<{ default: Component<TabProps> }>;
}

export const TABS: readonly [Tab, ...Tab[]] = [
  { id: "overview", name: "run.overview", load: () => import("./Overview.svelte") },
  { id: "charts", name: "run.charts", load: () => import("./RunCharts.svelte") },
  { id: "system", name: "run.system", load: () => import("./System.svelte") },
  { id: "logs", name: "run.logs", load: () => import("./logs/Logs.svelte") },
  { id: "files", name: "run.files", load: () => import("./files/Files.svelte") },
];

/** The tab that `?tab=` names, the first where it names none. */
export function tabOf(id: string): Tab {
  return TABS.find((tab) => tab.id === id) ?? TABS[0];
}
