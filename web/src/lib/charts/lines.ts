/** Lines as they are drawn: the mean of each bucket, its band, and the values that no line can show. */
import type { Series } from "../api/series";

export interface Line {
  /** Unique within a chart: the run and, beside its primary lane, the lane. */
  id: string;
  /** What is emphasised together: the run, or of what was measured beside one, the host and the part. */
  run: string;
  /** Lines of other lanes than 0 are dashed. */
  lane: number;
  name: string;
  /** Palette place. */
  color: number;
  data: LineData;
}

export interface LineData {
  length: number;
  /** Middle of the bucket; the point itself where there is one. */
  x: Float64Array;
  /** Mean of the finite values; NaN where there is none, which leaves a gap. */
  y: Float64Array;
  series: Series;
  /** Whether any bucket holds more than one finite value. */
  banded: boolean;
  yMin: number;
  yMax: number;
}

const derived = new WeakMap<Series, LineData>();

export function lineData(series: Series): LineData {
  const known = derived.get(series);
  if (known) return known;
  const { length, xFirst, xLast, count, sum } = series;
  const x = new Float64Array(length);
  const y = new Float64Array(length);
  let banded = false;
  let yMin = Infinity;
  let yMax = -Infinity;
  for (let i = 0; i < length; i++) {
    const points = count[i]!;
    x[i] = xFirst[i] === xLast[i] ? xFirst[i]! : (xFirst[i]! + xLast[i]!) / 2;
    y[i] = points === 0 ? NaN : points === 1 ? series.last[i]! : meanOf(sum[i]!, points, series.min[i]!, series.max[i]!);
    if (points > 1) banded = true;
    if (points > 0) {
      if (series.min[i]! < yMin) yMin = series.min[i]!;
      if (series.max[i]! > yMax) yMax = series.max[i]!;
    }
  }
  const data = { length, x, y, series, banded, yMin, yMax };
  derived.set(series, data);
  return data;
}

/** The mean; where the sum of huge values has overflowed, the middle of their range. */
function meanOf(sum: number, points: number, min: number, max: number): number {
  return Number.isFinite(sum) ? sum / points : min / 2 + max / 2;
}

/** Index of the first x that is not below `wanted`. */
export function lowerBound(x: Float64Array, wanted: number): number {
  let low = 0;
  let high = x.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (x[middle]! < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Index of the bucket nearest to `x`, or -1 where the line has none within its own extent. */
export function nearestIndex(data: LineData, x: number): number {
  if (data.length === 0) return -1;
  const after = lowerBound(data.x, x);
  if (after === 0) return 0;
  if (after === data.length) return data.length - 1;
  return x - data.x[after - 1]! <= data.x[after]! - x ? after - 1 : after;
}

/** The line's height at `x` as it is drawn, NaN outside its extent and in gaps. */
export function heightAt(data: LineData, x: number): number {
  const { length } = data;
  if (length === 0 || x < data.x[0]! || x > data.x[length - 1]!) return NaN;
  const after = lowerBound(data.x, x);
  if (data.x[after] === x || after === 0) return data.y[after]!;
  const share = (x - data.x[after - 1]!) / (data.x[after]! - data.x[after - 1]!);
  return data.y[after - 1]! + share * (data.y[after]! - data.y[after - 1]!);
}

const HUGE = 4e307;
// Of a range this narrow, beside its numbers or at all, neither the points nor the ticks could be told apart.
const NARROWEST = 2 ** -44;
const SMALLEST = 1e-290;

export type Range = readonly [low: number, high: number];

/** The x extent of lines, or null when they are empty. */
export function xExtent(lines: readonly Line[]): Range | null {
  let low = Infinity;
  let high = -Infinity;
  for (const { data } of lines) {
    if (data.length === 0) continue;
    low = Math.min(low, data.series.xFirst[0]!);
    high = Math.max(high, data.series.xLast[data.length - 1]!);
  }
  return low > high ? null : [low, high];
}

/** The y range that shows all lines between `x`'s ends, padded; a constant gets room above and below, or from zero on. */
export function yRange(lines: readonly Line[], x: Range | null, fromZero = false): Range {
  let low = Infinity;
  let high = -Infinity;
  for (const { data } of lines) {
    const { length, series } = data;
    if (length === 0) continue;
    if (!x || (series.xFirst[0]! >= x[0] && series.xLast[length - 1]! <= x[1])) {
      low = Math.min(low, data.yMin);
      high = Math.max(high, data.yMax);
      continue;
    }
    const end = Math.min(length, lowerBound(data.x, x[1]) + 1);
    for (let i = Math.max(0, lowerBound(data.x, x[0]) - 1); i < end; i++) {
      if (series.count[i] === 0 || series.xLast[i]! < x[0] || series.xFirst[i]! > x[1]) continue;
      low = Math.min(low, series.min[i]!);
      high = Math.max(high, series.max[i]!);
    }
  }
  if (!fromZero || low > high || low < 0) return padded(low, high);
  return [0, high === 0 ? 1 : Math.min(HUGE, high * 1.06)];
}

function padded(low: number, high: number): Range {
  if (low > high) return [0, 1];
  // Beyond this the width of the range itself would overflow.
  if (!Number.isFinite((high - low) * 2)) return [Math.max(low, -HUGE), Math.min(high, HUGE)];
  if (low === high) {
    const room = Math.abs(low) < SMALLEST ? 1 : Math.abs(low) * 0.1;
    return [low - room, high + room];
  }
  const room = (high - low) * 0.06;
  return separable([low - room, high + room]);
}

/** A range that has a width: one point gets room on both sides. */
export function widened([low, high]: Range): Range {
  if (low < high) return separable([low, high]);
  const room = Math.abs(low) < SMALLEST ? 1 : Math.abs(low) * 0.5;
  return [low - room, high + room];
}

/** The range, or a wider one around it where its numbers would run into each other. */
function separable([low, high]: Range): Range {
  const least = Math.max(SMALLEST, Math.max(Math.abs(low), Math.abs(high)) * NARROWEST);
  if (high - low >= least) return [low, high];
  const middle = low / 2 + high / 2;
  return [middle - least / 2, middle + least / 2];
}

/** The line nearest to a point of the chart, measured in pixels of height; null where no line is near that x. */
export function nearestLine(lines: readonly Line[], x: number, y: number, pixelsPerUnit: number): Line | null {
  let best: Line | null = null;
  let bestDistance = Infinity;
  for (const line of lines) {
    let height = heightAt(line.data, x);
    if (Number.isNaN(height)) {
      if (line.data.length !== 1) continue;
      height = line.data.y[0]!;
    }
    const distance = Math.abs(height - y) * pixelsPerUnit;
    if (distance < bestDistance) {
      bestDistance = distance;
      best = line;
    }
  }
  return best;
}
