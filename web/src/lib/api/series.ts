/** A series answer (Arrow) as one block of typed arrays per run, metric and lane. */
import { tableFromIPC } from "@uwdata/flechette";
import type { SeriesQuery } from "./types";

/** The non-empty buckets of one line, in order of x. A bucket of one value is that very point. */
export interface Series {
  run: string;
  key: string;
  lane: number;
  length: number;
  xFirst: Float64Array;
  xLast: Float64Array;
  /** Number of finite values in the bucket; `min`, `max`, `sum`, `first` and `last` are theirs. */
  count: Uint32Array;
  min: Float64Array;
  max: Float64Array;
  sum: Float64Array;
  first: Float64Array;
  last: Float64Array;
  nan: Uint32Array;
  pinf: Uint32Array;
  ninf: Uint32Array;
}

const FLOATS = ["xFirst", "xLast", "min", "max", "sum", "first", "last"] as const;
const COUNTS = ["count", "nan", "pinf", "ninf"] as const;
const ARROW_NAMES: Record<string, string> = { xFirst: "x_first", xLast: "x_last" };

export function decodeSeries(bytes: Uint8Array, query: Pick<SeriesQuery, "runs" | "keys">): Series[] {
  const table = tableFromIPC(bytes);
  const column = (name: string): ArrayLike<number> => {
    const found = table.getChild(ARROW_NAMES[name] ?? name);
    if (!found) throw new Error(`The series answer lacks the column "${name}".`);
    return found.toArray() as ArrayLike<number>;
  };
  const run = column("run");
  const key = column("key");
  const lane = column("lane");
  // A column of one batch is an array of the right kind already; copying it would take longer than reading it.
  const floats = FLOATS.map((name) => {
    const values = column(name);
    return values instanceof Float64Array ? values : Float64Array.from(values);
  });
  const counts = COUNTS.map((name) => {
    const values = column(name);
    return values instanceof Uint32Array ? values : Uint32Array.from(values);
  });
  const out: Series[] = [];
  for (let start = 0; start < table.numRows; ) {
    let end = start + 1;
    while (end < table.numRows && run[end] === run[start] && key[end] === key[start] && lane[end] === lane[start]) end++;
    const [xFirst, xLast, min, max, sum, first, last] = floats.map((values) => values.subarray(start, end));
    const [count, nan, pinf, ninf] = counts.map((values) => values.subarray(start, end));
    out.push({
      run: query.runs[run[start]!]!,
      key: query.keys[key[start]!]!,
      lane: lane[start]!,
      length: end - start,
      xFirst: xFirst!,
      xLast: xLast!,
      count: count!,
      min: min!,
      max: max!,
      sum: sum!,
      first: first!,
      last: last!,
      nan: nan!,
      pinf: pinf!,
      ninf: ninf!,
    });
    start = end;
  }
  return out;
}
