/** What the panels of a page show: charts in sections, and how the lines of one are made. */
import type { Series } from "../api/series";
import { t } from "../i18n/i18n.svelte";
import { lineData, type Line } from "./lines";

export interface Chart {
  /** Unique on its page: of a chart of one metric, that metric. */
  id: string;
  /** What it is called in its section, and in full. */
  title: string;
  name: string;
  /** The metrics whose lines it shows. */
  keys: readonly string[];
}

export interface Section {
  /** Under which its fold is remembered. */
  name: string;
  title: string;
  charts: Chart[];
}

export interface Drawing {
  lines: Line[];
  /** Unit of the lines' values; "" for a bare number. */
  unit: string;
  /** Whether the y axis begins at zero. */
  fromZero: boolean;
  /** Whether lines carry their name at their end. */
  named: boolean;
}

/** The series of a metric of a run, as far as they are loaded. */
export type SeriesOf = (key: string, run: string) => Series[];

/** Makes the lines of a chart; a new function where anything but the series has changed. */
export type Draw = (chart: Chart, series: SeriesOf) => Drawing;

/** A run whose lines are drawn. */
export interface ChartRun {
  id: string;
  name: string;
  color: number;
  /** Names of the lanes beside the primary one, where they are known. */
  lanes?: Map<number, string>;
}

/** A line for each run, and for each of its lanes; `named` at their ends. */
export function drawRuns(runs: readonly ChartRun[], named: boolean): Draw {
  return (chart, seriesOf) => ({
    lines: chart.keys.flatMap((key) =>
      runs.flatMap((run) =>
        seriesOf(key, run.id).map((series) => ({
          id: series.lane === 0 ? run.id : `${run.id}#${series.lane}`,
          run: run.id,
          lane: series.lane,
          name: series.lane === 0 ? run.name : laneName(run, series.lane),
          color: run.color,
          data: lineData(series),
        })),
      ),
    ),
    unit: "",
    fromZero: false,
    named,
  });
}

function laneName(run: ChartRun, lane: number): string {
  return run.lanes?.get(lane) || `${run.name} · ${t("chart.lane", { n: lane })}`;
}
