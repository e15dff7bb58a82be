/** Where the training was at a moment, from its own rows over time. */
import type { Series } from "../../api/series";

/** The last step at or before `x` of a `_step` series; within a bucket of many rows, about; null before the first. */
export function stepAt(series: Series, x: number): number | null {
  const { length, xFirst, xLast, first, last } = series;
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (xFirst[middle]! <= x) low = middle + 1;
    else high = middle;
  }
  const at = low - 1;
  if (at < 0) return null;
  if (x >= xLast[at]! || xLast[at] === xFirst[at]) return last[at]!;
  const share = (x - xFirst[at]!) / (xLast[at]! - xFirst[at]!);
  return Math.floor(first[at]! + share * (last[at]! - first[at]!));
}
