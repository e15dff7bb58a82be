/** A series in another unit. */
import type { Series } from "../../api/series";

const VALUES = ["min", "max", "sum", "first", "last"] as const;
const made = new WeakMap<Series, { by: number; series: Series }>();

/** The series with its values divided by `by`; the same object for the same question. */
export function scaled(series: Series, by: number): Series {
  if (by === 1) return series;
  const known = made.get(series);
  if (known?.by === by) return known.series;
  const out = { ...series };
  for (const name of VALUES) out[name] = series[name].map((value) => value / by);
  made.set(series, { by, series: out });
  return out;
}
