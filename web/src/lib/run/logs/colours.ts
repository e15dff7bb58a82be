/** Terminal colours that can be read on the paper of both themes: the hue is the program's, the lightness ours. */
import type { Colour } from "./ansi";

/** Lightness (OKLCH) at which any hue has 4.5:1 on the paper, at most in the light theme, at least in the dark one. */
const DARKEST_ON_LIGHT = 0.52;
const LIGHTEST_ON_DARK = 0.72;
const MOST_CHROMA = 0.17;

const cache = new Map<string, string>();

/** The colour as CSS. */
export function cssColour(colour: Colour): string {
  if (typeof colour === "number") return "var(--" + `ansi-${colour})`;
  const key = colour.join();
  let css = cache.get(key);
  if (css === undefined) {
    if (cache.size > 4000) cache.clear();
    const [lightness, chroma, hue] = oklch(colour);
    const at = (value: number): string => [value.toFixed(3), Math.min(chroma, MOST_CHROMA).toFixed(3), hue.toFixed(1)].join(" ");
    css = `light-dark(oklch(${at(Math.min(lightness, DARKEST_ON_LIGHT))}), oklch(${at(Math.max(lightness, LIGHTEST_ON_DARK))}))`;
    cache.set(key, css);
  }
  return css;
}

/** sRGB to OKLCH (https://bottosson.github.io/posts/oklab/). */
function oklch([red, green, blue]: [number, number, number]): [lightness: number, chroma: number, hue: number] {
  const [r, g, b] = [red, green, blue].map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  const lightness = 0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s;
  const a = 1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s;
  const c = 0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s;
  return [lightness, Math.hypot(a, c), ((Math.atan2(c, a) * 180) / Math.PI + 360) % 360];
}
