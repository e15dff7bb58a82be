// @vitest-environment jsdom
import { expect, test } from "vitest";
import type { Series } from "../src/lib/api/series";
import type { SystemMetric } from "../src/lib/api/types";
import { yRange } from "../src/lib/charts/lines";
import { withUnit } from "../src/lib/format/value";
import { drawSystem, systemSections } from "../src/lib/run/system/sections";
import { stepAt } from "../src/lib/run/system/steps";
import { scaleFor } from "../src/lib/run/system/units";

function metric(key: string, device: string, quantity: string, part = "", unit = "%"): SystemMetric {
  return { key, device, quantity, part, unit, type: "f64", count: 1, nan: 0, pinf: 0, ninf: 0, min: 0, max: 1, last: 1, step_min: 0, step_max: 1 };
}

function series(key: string, lane: number, values: number[], xs = values.map((_, i) => i)): Series {
  const [floats, counts] = [Float64Array.from(values), Uint32Array.from(values, () => 1)];
  const none = new Uint32Array(values.length);
  const x = Float64Array.from(xs);
  return {
    run: "r", key, lane, length: values.length, xFirst: x, xLast: x, count: counts,
    min: floats, max: floats, sum: floats, first: floats, last: floats, nan: none, pinf: none, ninf: none,
  };
}

const METRICS = [
  metric("system.gpu.10.temp", "gpu.10", "system.gpu.*.temp", "", "°C"),
  metric("system.gpu.2.temp", "gpu.2", "system.gpu.*.temp", "", "°C"),
  metric("system.gpu.2.gpu", "gpu.2", "system.gpu.*.gpu"),
  metric("system.gpu.process.2.gpu", "gpu.2", "system.gpu.process.*.gpu"),
  metric("system.gpu.process.2.memoryUsedBytes", "gpu.2", "system.gpu.process.*.memoryUsedBytes", "", "B"),
  metric("system.cpu.10.cpu_percent", "cpu", "system.cpu.*.cpu_percent", "10"),
  metric("system.cpu.9.cpu_percent", "cpu", "system.cpu.*.cpu_percent", "9"),
  metric("system.cpu", "cpu", "system.cpu"),
  metric("system.odd_thing", "other", "system.odd_thing", "", ""),
];

test("each device is a section, each quantity a chart, and cores share one", () => {
  const sections = systemSections(METRICS);
  expect(sections.map(({ title, charts }) => [title, charts.map((chart) => chart.title)])).toEqual([
    ["CPU", ["CPU of the run, of what it may use", "CPU by core"]],
    ["GPU 2", ["Utilisation", "Memory of this run", "Temperature"]],
    ["GPU 10", ["Temperature"]],
    ["Other", ["odd_thing"]],
  ]);
  expect(sections[0]!.charts[1]!.keys).toEqual(["system.cpu.9.cpu_percent", "system.cpu.10.cpu_percent"]);
});

test("lines are named by part, by host where there are several, and drawn in a unit that reads well", () => {
  const lanes = [
    { lane: 0, label: "node-1", id: "a" },
    { lane: 1, label: "node-2", id: "b" },
  ];
  const [cpu, gpu] = systemSections(METRICS);
  const one = drawSystem("r", { metrics: METRICS, lanes: lanes.slice(0, 1) });
  const two = drawSystem("r", { metrics: METRICS, lanes });
  const both = (key: string): Series[] => [series(key, 0, [1, 2]), series(key, 1, [3, 4])];
  const names = (drawn: ReturnType<typeof one>): unknown[] => drawn.lines.map(({ name, run, color, lane }) => [name, run, color, lane]);
  expect(names(one(cpu!.charts[1]!, (key) => [series(key, 0, [1])]))).toEqual([
    ["core 9", "node-1|core 9", 0, 0],
    ["core 10", "node-1|core 10", 1, 0],
  ]);
  expect(names(two(cpu!.charts[0]!, both))).toEqual([
    ["node-1", "node-1", 0, 0],
    ["node-2", "node-2", 1, 0],
  ]);
  expect(names(two(cpu!.charts[1]!, both)).at(-1)).toEqual(["core 10 · node-2", "node-2|core 10", 1, 1]);
  expect(two(cpu!.charts[0]!, both).named).toBe(true);
  const resumed = drawSystem("r", { metrics: METRICS, lanes: lanes.map((lane) => ({ ...lane, label: "node-1" })) });
  const again = resumed(cpu!.charts[0]!, both);
  expect([again.named, names(again)]).toEqual([
    false,
    [
      ["node-1", "node-1", 0, 0],
      ["node-1", "node-1", 0, 0],
    ],
  ]);
  const memory = one(gpu!.charts[1]!, (key) => [series(key, 0, [2 ** 30, 3 * 2 ** 30])]);
  expect(memory.unit).toBe("GB");
  expect([...memory.lines[0]!.data.y]).toEqual([1, 3]);
});

test.each([
  ["MB", 900, "MB", 1],
  ["MB", 4096, "GB", 1024],
  ["B/s", 3_000_000, "MB/s", 1024 ** 2],
  ["GB", 0.5, "MB", 1 / 1024],
  ["B", 0, "B", 1],
  ["MB", 0, "MB", 1],
  ["%", 4000, "%", 1],
  ["", 1e12, "", 1],
])("values in %s up to %d are shown in %s%s", (unit, largest, shown, by) => {
  expect(scaleFor(unit, largest)).toEqual({ unit: shown, by });
});

test("the training's step at a moment", () => {
  const steps = series("_step", 0, [5, 6, 9], [10, 20, 30]);
  expect([9.9, 10, 19.9, 20, 29, 1000].map((x) => stepAt(steps, x))).toEqual([null, 5, 5, 6, 6, 9]);
  const bucket = { ...series("_step", 0, [100]), xFirst: Float64Array.of(0), xLast: Float64Array.of(100), first: Float64Array.of(0) };
  expect([0, 50, 100, 101].map((x) => stepAt(bucket, x))).toEqual([0, 50, 100, 100]);
});

test("axes of quantities begin at zero, and values carry their unit", () => {
  const line = drawSystem("r", { metrics: METRICS, lanes: [] })(systemSections(METRICS)[0]!.charts[0]!, (key) => [series(key, 0, [40, 50])]);
  expect(line.fromZero).toBe(true);
  expect(yRange(line.lines, null, true)).toEqual([0, 53]);
  expect(yRange(line.lines, null)[0]).toBeGreaterThan(30);
  expect(withUnit("40", "%")).toBe("40\u00a0%");
  expect(withUnit("40", "")).toBe("40");
});
