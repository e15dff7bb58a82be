import { expect, test } from "vitest";
import { ABSENT, cutMiddle, fullValue, readableValue, shortNumber, shortValue, tickLabels } from "../src/lib/format/value";

test.each([
  [0, "0"],
  [0.123456, "0.1235"],
  [1, "1"],
  [1234, "1234"],
  [9999, "9999"],
  [12345, "12.35k"],
  [999999, "1M"],
  [1234567890, "1.235G"],
  [-0.5, "−0.5"],
  [0.00012346, "1.235e−4"],
  [1e30, "1e30"],
  [NaN, "NaN"],
  [-Infinity, "−∞"],
  [9007199254740993n, "9.007P"],
])("%s reads %s", (value, text) => {
  expect(shortNumber(value)).toBe(text);
});

test("what is absent is a dash, never 0 or null", () => {
  expect(shortValue(undefined)).toBe(ABSENT);
  expect(shortValue(null)).toBe("None");
  expect(shortValue(false)).toBe("false");
  expect(shortValue([1, 0.123456, null])).toBe("[1, 0.1235, None]");
});

test("the full value has every digit", () => {
  expect(fullValue(0.1234567890123)).toBe("0.1234567890123");
  expect(fullValue(2n ** 70n)).toBe("1180591620717411303424");
  expect(fullValue(-Infinity)).toBe("-inf");
  expect(fullValue({ a: [true, "x"] })).toBe('{a: [true, "x"]}');
});

test("whole numbers keep their digits where there is room", () => {
  expect(readableValue(123456789)).toBe("123456789");
  expect(readableValue(0.123456)).toBe("0.1235");
});

test.each([
  [[0, 0.25, 0.5], 0.25, ["0", "0.25", "0.5"]],
  [[0, 5000, 10000, 15000], 5000, ["0", "5k", "10k", "15k"]],
  [[1.0001, 1.0002], 0.0001, ["1.0001", "1.0002"]],
  [[-2, 0, 2], 2, ["−2", "0", "2"]],
  [[0, 0.00025, 0.0005], 0.00025, ["0", "2.5e−4", "5e−4"]],
  [[1e-9, 2e-9], 1e-9, ["1e−9", "2e−9"]],
])("ticks %j read %j", (ticks, step, labels) => {
  expect(tickLabels(ticks, step)).toEqual(labels);
});

test("neighbouring ticks never read the same", () => {
  for (const low of [0, 1e-8, 0.37, 12, 5432.1, 1e5, 3.2e9, 1e20]) {
    for (const step of [1e-9, 0.002, 0.25, 5, 2500, 1e8]) {
      if (step < low * 1e-9) continue;
      const ticks = Array.from({ length: 5 }, (_, i) => low + i * step);
      expect(new Set(tickLabels(ticks, step)).size).toBe(5);
    }
  }
});

test("long text loses its middle", () => {
  expect(cutMiddle("short", 10)).toBe("short");
  expect(cutMiddle("/a/very/long/path/to/weights.pt", 20)).toBe("/a/very/long…ghts.pt");
  expect([...cutMiddle("😀".repeat(50), 10)]).toHaveLength(10);
});

test("ticks of large numbers that hardly differ are told from the first one", () => {
  const first = 2 ** 60;
  expect(tickLabels([first, first + 4096, first + 8192], 4096)).toEqual(["1.153e18", "+4096", "+8192"]);
  expect(tickLabels([1796000000.5, 1796000001, 1796000001.5], 0.5)).toEqual(["1.796G", "+0.5", "+1"]);
});
