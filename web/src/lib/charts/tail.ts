/** Joins what a line has with the points that came after it, so that a growing run costs only what is new. */
import type { Series } from "../api/series";

const FLOATS = ["xFirst", "xLast", "min", "max", "sum", "first", "last"] as const;
const COUNTS = ["count", "nan", "pinf", "ninf"] as const;

/**
 * `known` with the buckets of `tail` behind it, or null where they do not fit and the line must be read anew.
 * The tail was asked from (or from before) the last x of `known`; its own copy of that point replaces ours.
 */
export function joinTail(known: Series, tail: Series): Series | null {
  const { length } = known;
  if (length === 0) return tail;
  const end = known.xLast[length - 1]!;
  let from = 0;
  while (from < tail.length && tail.xLast[from]! < end) from++;
  if (from === tail.length) return known;
  let keep = length;
  if (tail.xFirst[from]! <= end) {
    const samePoint = tail.xLast[from] === end && tail.xFirst[from] === end && known.xFirst[length - 1] === end;
    if (samePoint) keep = length - 1;
    else if (tail.xLast[from] !== end) return null;
    else if (++from === tail.length) return known;
  }
  return append(known, keep, tail, from);
}

function append(known: Series, keep: number, tail: Series, from: number): Series {
  const joined = { ...known, length: keep + tail.length - from };
  for (const name of FLOATS) {
    const values = new Float64Array(joined.length);
    values.set(known[name].subarray(0, keep));
    values.set(tail[name].subarray(from), keep);
    joined[name] = values;
  }
  for (const name of COUNTS) {
    const values = new Uint32Array(joined.length);
    values.set(known[name].subarray(0, keep));
    values.set(tail[name].subarray(from), keep);
    joined[name] = values;
  }
  return joined;
}
