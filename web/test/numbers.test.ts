import { expect, test } from "vitest";
import { parseJson } from "../src/lib/api/numbers";

test("NaN, the infinities and big integers arrive as what they are", () => {
  const parsed = parseJson(
    '{"a": {"$float": "NaN"}, "b": [{"$float": "-Infinity"}, {"$float": "Infinity"}], "c": {"$int": "-9007199254740993"}}',
  );
  expect(parsed).toEqual({ a: NaN, b: [-Infinity, Infinity], c: -9007199254740993n });
});

test("a map of the user's own that looks like a tag stays a map", () => {
  expect(parseJson('{"$map": {"$float": "NaN"}}')).toEqual({ $float: "NaN" });
  expect(parseJson('{"$float": "NaN", "other": 1}')).toEqual({ $float: "NaN", other: 1 });
});

test("bytes arrive as bytes", () => {
  expect(parseJson('{"$bytes": "AAH/"}')).toEqual(new Uint8Array([0, 1, 255]));
});
