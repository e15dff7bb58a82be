import { float64, tableFromArrays, tableToIPC, uint16, uint32 } from "@uwdata/flechette";
import { expect, test } from "vitest";
import { decodeSeries, type Series } from "../src/lib/api/series";
import { lineData, heightAt, nearestIndex, nearestLine, widened, xExtent, yRange, type Line } from "../src/lib/charts/lines";
import { readAt } from "../src/lib/charts/readout";
import { joinTail } from "../src/lib/charts/tail";
import { ticksOf } from "../src/lib/charts/ticks";

const NUMBERS = ["x_first", "x_last", "min", "max", "sum", "first", "last"];

function answer(rows: Record<string, number>[]): Uint8Array {
  const names = ["run", "key", "lane", "x_first", "x_last", "count", "min", "max", "sum", "first", "last", "nan", "pinf", "ninf"];
  const columns = Object.fromEntries(names.map((name) => [name, rows.map((row) => row[name] ?? 0)]));
  const types = Object.fromEntries(
    names.map((name) => [name, name === "lane" ? uint16() : NUMBERS.includes(name) ? float64() : uint32()]),
  );
  return tableToIPC(tableFromArrays(columns, { types }), { format: "stream" })!;
}

/** A bucket of one point, or, with `values`, of several. */
function bucket(x: number, ...values: number[]): Record<string, number> {
  const finite = values.filter(Number.isFinite);
  return {
    x_first: x,
    x_last: x + values.length - 1,
    count: finite.length,
    min: Math.min(...finite),
    max: Math.max(...finite),
    sum: finite.reduce((a, b) => a + b, 0),
    first: finite[0] ?? NaN,
    last: finite[finite.length - 1] ?? NaN,
    nan: values.filter(Number.isNaN).length,
    pinf: values.filter((value) => value === Infinity).length,
    ninf: values.filter((value) => value === -Infinity).length,
  };
}

function seriesOf(...buckets: Record<string, number>[]): Series {
  return decodeSeries(answer(buckets), { runs: ["r"], keys: ["k"] })[0]!;
}

function line(id: string, series: Series): Line {
  return { id, run: id, lane: 0, name: id, color: 0, data: lineData(series) };
}

test("an answer is cut into one block per run, metric and lane", () => {
  const rows = [
    { run: 0, key: 0, lane: 0, ...bucket(0, 1) },
    { run: 0, key: 0, lane: 0, ...bucket(1, 2) },
    { run: 0, key: 0, lane: 1, ...bucket(0, 3) },
    { run: 1, key: 1, lane: 0, ...bucket(5, 4) },
  ];
  const found = decodeSeries(answer(rows), { runs: ["a", "b"], keys: ["loss", "acc"] });
  expect(found.map(({ run, key, lane, length }) => [run, key, lane, length])).toEqual([
    ["a", "loss", 0, 2],
    ["a", "loss", 1, 1],
    ["b", "acc", 0, 1],
  ]);
  expect([...found[0]!.last]).toEqual([1, 2]);
});

test("an empty answer has no blocks", () => {
  expect(decodeSeries(answer([]), { runs: [], keys: [] })).toEqual([]);
});

test("a bucket of several points is drawn as their mean, with its band", () => {
  const data = lineData(seriesOf(bucket(0, 1, 3), bucket(2, 5)));
  expect([...data.y]).toEqual([2, 5]);
  expect([...data.x]).toEqual([0.5, 2]);
  expect(data.banded).toBe(true);
  expect([data.yMin, data.yMax]).toEqual([1, 5]);
});

test("NaN leaves a gap, infinities do not stretch the range", () => {
  const shown = line("a", seriesOf(bucket(0, 1), bucket(1, NaN), bucket(2, Infinity), bucket(3, 2)));
  expect([...shown.data.y]).toEqual([1, NaN, NaN, 2]);
  expect(heightAt(shown.data, 1)).toBeNaN();
  const [low, high] = yRange([shown], null);
  expect(low).toBeGreaterThan(0.9);
  expect(high).toBeLessThan(2.1);
});

test("a constant and a single point get room around them", () => {
  const single = line("a", seriesOf(bucket(10, 3)));
  expect(yRange([single], null)).toEqual([2.7, 3.3]);
  expect(widened(xExtent([single])!)).toEqual([5, 15]);
  expect(yRange([line("z", seriesOf(bucket(0, 0)))], null)).toEqual([-1, 1]);
});

test("zoomed, the y range is that of the buckets inside", () => {
  const shown = line("a", seriesOf(bucket(0, 100), bucket(1, 1), bucket(2, 2), bucket(3, 50)));
  const [low, high] = yRange([shown], [0.9, 2.1]);
  expect([low, high]).toEqual([1 - 0.06, 2 + 0.06]);
});

test("the nearest line is the one that is drawn nearest", () => {
  const lines = [line("low", seriesOf(bucket(0, 0), bucket(10, 0))), line("high", seriesOf(bucket(0, 1), bucket(10, 3)))];
  expect(nearestLine(lines, 5, 1.8, 10)?.id).toBe("high");
  expect(nearestLine(lines, 5, 0.4, 10)?.id).toBe("low");
  expect(nearestLine(lines, 11, 0, 10)).toBeNull();
  expect(nearestIndex(lines[0]!.data, 4)).toBe(0);
});

test("the hover box lists at most twelve values, sorted, and always the nearest line's", () => {
  const lines = Array.from({ length: 40 }, (_, i) => line(`r${i}`, seriesOf(bucket(0, i), bucket(1, i))));
  const { shown, more } = readAt(lines, 0, lines[3]!);
  expect(shown).toHaveLength(12);
  expect(more).toBe(28);
  expect(shown.map((reading) => reading.value)).toEqual([...shown.map((reading) => reading.value)].sort((a, b) => b - a));
  expect(shown.some((reading) => reading.line === lines[3])).toBe(true);
});

test("a line that has ended is not in the hover box", () => {
  const lines = [line("short", seriesOf(bucket(0, 1), bucket(1, 1))), line("long", seriesOf(bucket(0, 2), bucket(100, 2)))];
  expect(readAt(lines, 90, null).shown.map((reading) => reading.line.id)).toEqual(["long"]);
});

test("new points are joined to a line, the last known one in its newest form", () => {
  const joined = joinTail(seriesOf(bucket(0, 1), bucket(1, 2)), seriesOf(bucket(1, 7), bucket(2, 3)))!;
  expect([...joined.xLast]).toEqual([0, 1, 2]);
  expect([...joined.last]).toEqual([1, 7, 3]);
});

test("a tail without news changes nothing, one that does not fit is refused", () => {
  const known = seriesOf(bucket(0, 1), bucket(1, 2, 3));
  expect(joinTail(known, seriesOf(bucket(2, 3)))).toBe(known);
  expect(joinTail(known, seriesOf(bucket(1, 2, 3, 4)))).toBeNull();
  const behindBucket = joinTail(known, seriesOf(bucket(2, 3), bucket(3, 5)))!;
  expect([...behindBucket.xLast]).toEqual([0, 2, 3]);
});

test("ranges too narrow for their numbers are widened until points and ticks differ", () => {
  const close = line("a", seriesOf(bucket(0, 2 ** 60), bucket(1, 2 ** 60 + 512)));
  const subnormal = line("b", seriesOf(bucket(0, 0), bucket(1, 5e-310)));
  for (const [low, high] of [yRange([close], null), yRange([subnormal], null), widened([2 ** 62, 2 ** 62 + 1024])]) {
    const step = (high - low) / 5;
    expect(Number.isFinite(220 / (high - low))).toBe(true);
    expect(new Set(ticksOf(low, high, step)).size).toBeGreaterThan(3);
  }
});

test("ticks end, whatever the step", () => {
  expect(ticksOf(-0.1, 1.05, 0.25)).toEqual([0, 0.25, 0.5, 0.75, 1]);
  expect(ticksOf(2 ** 60, 2 ** 60 + 1e6, 50)).toEqual([]);
  expect(ticksOf(0, 1, 0)).toEqual([]);
});
