import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const SOURCE = join(import.meta.dirname, "../src");
const tokens = readFileSync(join(SOURCE, "tokens.css"), "utf8");
const others = readdirSync(SOURCE, { recursive: true, encoding: "utf8" })
  .filter((name) => /\.(svelte|css|ts)$/.test(name) && name !== "tokens.css" && !name.endsWith("schema.ts"))
  .map((name) => ({ name, text: readFileSync(join(SOURCE, name), "utf8") }));

test("only the token file names a colour or a size", () => {
  const found: string[] = [];
  for (const { name, text } of others) {
    const styles = name.endsWith(".css") ? text : [...text.matchAll(/<style>([^]*?)<\/style>/g)].map((match) => match[1]).join("\n");
    for (const match of styles.matchAll(/\b\d*\.?\d+(px|rem|pt|vw|vh)\b|#[0-9a-f]{3,8}\b|\b(rgba?|hsla?|oklch|oklab)\(/gi)) found.push(`${name}: ${match[0]}`);
    for (const match of text.matchAll(/["'`](#[0-9a-f]{3,8}|(?:rgba?|hsla?|oklch)\([^"'`]*)["'`]/gi)) found.push(`${name}: ${match[1]}`);
  }
  expect(found).toEqual([]);
});

test("every token that is used exists, and every token is used", () => {
  const defined = new Set([...tokens.matchAll(/^\s+--([\w-]+):/gm)].map((match) => match[1]!));
  const everything = tokens + others.map(({ text }) => text).join("\n");
  const local = new Set([...everything.matchAll(/(?:style:|\s)--([\w-]+)(?::|=)/g)].map((match) => match[1]!));
  const used = new Set([...everything.matchAll(/var\(--([\w-]+)/g)].map((match) => match[1]!));
  expect([...used].filter((name) => !local.has(name))).toEqual([]);
  const named = (name: string): boolean => used.has(name) || everything.includes(`"${name}"`) || everything.includes(`"--${name}"`);
  // Scales are whole even where a step waits for its use; states are named by the code that shows them.
  const ofScale = (name: string): boolean => /^(n\d+|text-.*|run-\d+|ansi-\d+|running|finished|failed|crashed)$/.test(name);
  expect([...defined].filter((name) => !named(name) && !ofScale(name))).toEqual([]);
});

type Vector = [number, number, number];

function linear(lightness: number, chroma: number, hue: number): Vector {
  const a = chroma * Math.cos((hue * Math.PI) / 180);
  const b = chroma * Math.sin((hue * Math.PI) / 180);
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
}

function oklab([r, g, b]: Vector): Vector {
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

/** Machado, Oliveira and Fernandes 2009, severity 1. */
const VISION: Record<string, [Vector, Vector, Vector]> = {
  normal: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  protanopia: [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
  deuteranopia: [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
};

function seen(color: Vector, vision: string): Vector {
  return oklab(VISION[vision]!.map((row) => Math.min(1, Math.max(0, row[0] * color[0] + row[1] * color[1] + row[2] * color[2]))) as Vector);
}

const distance = (a: Vector, b: Vector): number => Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
const luminance = ([r, g, b]: Vector): number => 0.2126 * r + 0.7152 * g + 0.0722 * b;
const contrast = (a: Vector, b: Vector): number => {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y) as [number, number];
  return (high + 0.05) / (low + 0.05);
};

function themed(name: string, theme: "light" | "dark"): Vector {
  const value = new RegExp(`--${name}: light-dark\\(oklch\\(([^)]*)\\), oklch\\(([^)]*)\\)\\)`).exec(tokens);
  if (!value) {
    const other = new RegExp(`--${name}: var\\(--([\\w-]+)\\)`).exec(tokens);
    return themed(other![1]!, theme);
  }
  return linear(...(value[theme === "light" ? 1 : 2]!.split(" ").map(Number) as Vector));
}

const palette = (theme: "light" | "dark"): Vector[] => Array.from({ length: 20 }, (_, i) => themed(`run-${i}`, theme));

test.each(["light", "dark"] as const)("20 run colours, each 3:1 on the %s paper", (theme) => {
  for (const color of palette(theme)) expect(contrast(color, themed("paper", theme))).toBeGreaterThanOrEqual(3);
});

test.each(["normal", "protanopia", "deuteranopia"])("neighbouring run colours differ in %s vision", (vision) => {
  for (const theme of ["light", "dark"] as const) {
    const colors = palette(theme).map((color) => seen(color, vision));
    colors.forEach((color, i) => expect(distance(color, colors[(i + 1) % 20]!)).toBeGreaterThan(0.1));
  }
});

test.each(Array.from({ length: 16 }, (_, i) => `ansi-${i}`))("%s reads at 4.5:1 on the paper of both themes", (name) => {
  for (const theme of ["light", "dark"] as const) expect(contrast(themed(name, theme), themed("paper", theme)), theme).toBeGreaterThanOrEqual(4.5);
});

/** As `color-mix(in oklab, a share, b)` mixes. */
function mixed(a: Vector, token: string, b: Vector): Vector {
  const share = Number(new RegExp(`--${token}: (\\d+)%`).exec(tokens)![1]) / 100;
  const [from, to] = [oklab(a), oklab(b)];
  const [l, x, y] = from.map((value, i) => share * value + (1 - share) * to[i]!) as Vector;
  return linear(l, Math.hypot(x, y), (Math.atan2(y, x) * 180) / Math.PI);
}

test("each terminal colour reads at 4.5:1 on the ground of each other", () => {
  const unread: string[] = [];
  for (const theme of ["light", "dark"] as const) {
    for (let fg = 0; fg < 16; fg++) {
      for (let bg = 0; bg < 16; bg++) {
        const ink = mixed(themed(`ansi-${fg}`, theme), "ansi-on-ground", themed("ink", theme));
        const ground = mixed(themed(`ansi-${bg}`, theme), "ansi-ground", themed("paper", theme));
        if (contrast(ink, ground) < 4.5) unread.push(`${theme} ${fg} on ${bg}: ${contrast(ink, ground).toFixed(2)}`);
      }
    }
  }
  expect(unread).toEqual([]);
});

test.each(["match", "match-here"])("ink reads on %s at 4.5:1", (name) => {
  for (const theme of ["light", "dark"] as const) expect(contrast(themed("ink", theme), themed(name, theme)), theme).toBeGreaterThanOrEqual(4.5);
});

test.each(["ink", "ink-soft", "ink-quiet", "accent", "running", "finished", "failed", "crashed"])("%s reads at 4.5:1 on both themes", (name) => {
  for (const theme of ["light", "dark"] as const) {
    for (const ground of ["paper", "frame", "hovered"]) {
      expect(contrast(themed(name, theme), themed(ground, theme)), `${theme} ${ground}`).toBeGreaterThanOrEqual(4.5);
    }
  }
});
