// @vitest-environment jsdom
import { expect, test } from "vitest";
import { parseAnsi } from "../src/lib/run/logs/ansi";
import { cssColour } from "../src/lib/run/logs/colours";
import { finderOf, piecesOf } from "../src/lib/run/logs/pieces";
import { Scale } from "../src/lib/run/logs/scale";

test("styles are read as the server writes them", () => {
  const { plain, runs } = parseAnsi("a\x1b[1;31mred\x1b[0;4;38;5;200mpink\x1b[0m \x1b[48;2;1;2;3;7mx\x1b[0m");
  expect(plain).toBe("aredpink x");
  expect(runs.map(({ start, style }) => [start, style.fg, style.bg, style.bold, style.underline, style.inverse])).toEqual([
    [1, 1, null, true, false, false],
    [4, [255, 0, 215], null, false, true, false],
    [8, null, null, false, false, false],
    [9, null, [1, 2, 3], false, false, true],
    [10, null, null, false, false, false],
  ]);
  expect(parseAnsi("\x1b[94mb\x1b[0;100mc").runs.map(({ style }) => [style.fg, style.bg])).toEqual([
    [12, null],
    [null, 8],
  ]);
  expect(parseAnsi("plain")).toEqual({ plain: "plain", runs: [] });
});

test("colours of 24 bits get a lightness that can be read in each theme", () => {
  expect(cssColour(3)).toBe("var(--ansi-3)");
  const lightness = (css: string): number[] => [...css.matchAll(/oklch\(([\d.]+)/g)].map((match) => Number(match[1]));
  for (const colour of [[255, 255, 0], [0, 0, 128], [0, 0, 0], [255, 255, 255], [120, 120, 120]] as [number, number, number][]) {
    const [light, dark] = lightness(cssColour(colour)) as [number, number];
    expect(light).toBeLessThanOrEqual(0.52);
    expect(dark).toBeGreaterThanOrEqual(0.72);
  }
});

test("links end where the address ends", () => {
  const links = (text: string): (string | null)[] => piecesOf(text, null).map(({ href }) => href).filter((href) => href !== null);
  expect(links("see https://a.b/c?d=1#e, and (http://x.y/z).")).toEqual(["https://a.b/c?d=1#e", "http://x.y/z"]);
  expect(links("https://en.wikipedia.org/wiki/A_(b)")).toEqual(["https://en.wikipedia.org/wiki/A_(b)"]);
  expect(links("詳しくは http://a.b/日本語。次")).toEqual(["http://a.b/日本語"]);
  expect(links("javascript://x ftp://a")).toEqual([]);
});

test("pieces cut a line at styles, links and what is found", () => {
  const pieces = piecesOf("\x1b[31mab\x1b[0mcd http://e.f gh", finderOf("BCD", false, false));
  expect(pieces.map(({ text, style, href, found }) => [text, style.fg, href !== null, found])).toEqual([
    ["a", 1, false, false],
    ["b", 1, false, true],
    ["cd", null, false, true],
    [" ", null, false, false],
    ["http://e.f", null, true, false],
    [" gh", null, false, false],
  ]);
  const found = (query: string, regex: boolean, matchCase: boolean): string[] =>
    piecesOf("Loss 12 loss 3", finderOf(query, regex, matchCase)).filter((piece) => piece.found).map(({ text }) => text);
  expect(found("loss", false, false)).toEqual(["Loss", "loss"]);
  expect(found("loss", false, true)).toEqual(["loss"]);
  expect(found("\\d+", true, true)).toEqual(["12", "3"]);
  expect(found("x*", true, true)).toEqual([]);
  expect(finderOf("(?P<a>x)", true, true)).toBeNull();
});

test("a short log scrolls as it is", () => {
  const scale = new Scale(1000, 300);
  expect([scale.height, scale.end, scale.compressed]).toEqual([1000, 700, false]);
  expect([scale.topOf(250), scale.placeOf(250), scale.moved(0, 0, 650)]).toEqual([250, 250, 650]);
  expect(new Scale(100, 300).end).toBe(0);
});

test("a log too long for a browser is scrolled by the pixel at hand, and by the bar in leaps", () => {
  const scale = new Scale(1_800_000_000, 900, 8_000_000, 200_000);
  expect(scale.height).toBe(8_000_000);
  for (const y of [0, 17, 200_000, 5_000_000, 900_000_000, scale.end - 200_000, scale.end - 18, scale.end]) {
    expect(scale.placeOf(scale.topOf(y))).toBeCloseTo(y, 3);
  }
  expect(scale.topOf(scale.end)).toBe(8_000_000 - 900);
  expect(scale.topOf(scale.end - 18)).toBe(8_000_000 - 918);
  const middle = 900_000_000;
  const top = scale.topOf(middle);
  expect(scale.moved(middle, top, top + 100)).toBe(middle + 100);
  expect(scale.moved(middle, top, 0)).toBe(0);
  expect(scale.moved(middle, top, top + 1_000_000)).toBeGreaterThan(middle + 100_000_000);
});
