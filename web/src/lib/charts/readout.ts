/** The values under the pointer, as the hover box lists them. */
import type { Line } from "./lines";
import { nearestIndex } from "./lines";

export interface Reading {
  line: Line;
  /** Mean of the bucket, or its only value; NaN where there is no finite one. */
  value: number;
  min: number;
  max: number;
  /** Finite values in the bucket. */
  points: number;
  nan: number;
  pinf: number;
  ninf: number;
  /** The bucket's first and last x. */
  xFirst: number;
  xLast: number;
}

export interface Readout {
  shown: Reading[];
  more: number;
}

export const MOST_READINGS = 12;

/** Readings at `x`, highest value first; at most twelve, and always the one of `nearest`. */
export function readAt(lines: readonly Line[], x: number, nearest: Line | null): Readout {
  const readings: Reading[] = [];
  for (const line of lines) {
    const { data } = line;
    const i = nearestIndex(data, x);
    if (i < 0) continue;
    // A line that ends before the pointer, or begins after it, has no value there.
    const slack = (data.series.xLast[i]! - data.series.xFirst[i]!) / 2 + spacing(data.x, i);
    if (Math.abs(data.x[i]! - x) > slack && data.length > 1) continue;
    const { min, max, count, nan, pinf, ninf } = data.series;
    readings.push({
      line,
      value: data.y[i]!,
      min: min[i]!,
      max: max[i]!,
      points: count[i]!,
      nan: nan[i]!,
      pinf: pinf[i]!,
      ninf: ninf[i]!,
      xFirst: data.series.xFirst[i]!,
      xLast: data.series.xLast[i]!,
    });
  }
  readings.sort((a, b) => rank(b) - rank(a));
  const more = Math.max(0, readings.length - MOST_READINGS);
  if (more === 0) return { shown: readings, more };
  const at = nearest ? readings.findIndex(({ line }) => line === nearest) : 0;
  const first = Math.max(0, Math.min(at - MOST_READINGS / 2, readings.length - MOST_READINGS));
  return { shown: readings.slice(first, first + MOST_READINGS), more };
}

function spacing(x: Float64Array, i: number): number {
  const before = i > 0 ? x[i]! - x[i - 1]! : 0;
  const after = i + 1 < x.length ? x[i + 1]! - x[i]! : 0;
  return Math.max(before, after);
}

function rank(reading: Reading): number {
  if (!Number.isNaN(reading.value)) return reading.value;
  return reading.pinf > 0 ? Infinity : -Infinity;
}
