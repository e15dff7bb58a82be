/** The text of a line and its styles, from the SGR sequences that the server leaves in it (docs/formats/console.md). */

/** A colour: one of the 16 of terminals, or red, green and blue. */
export type Colour = number | [red: number, green: number, blue: number];

export interface Style {
  fg: Colour | null;
  bg: Colour | null;
  bold: boolean;
  dim: boolean;
  italic: boolean;
  underline: boolean;
  inverse: boolean;
  strike: boolean;
}

/** A stretch of a line: it begins at `start` of the plain text. */
export interface Run {
  start: number;
  style: Style;
}

export const PLAIN: Style = {
  fg: null,
  bg: null,
  bold: false,
  dim: false,
  italic: false,
  underline: false,
  inverse: false,
  strike: false,
};

const SGR = /\x1b\[([0-9;]*)m/g;

/** The text without its sequences, and where its styles begin; none where it has none. */
export function parseAnsi(text: string): { plain: string; runs: Run[] } {
  if (!text.includes("\x1b")) return { plain: text, runs: [] };
  const runs: Run[] = [];
  let plain = "";
  let at = 0;
  let style = PLAIN;
  for (const found of text.matchAll(SGR)) {
    plain += text.slice(at, found.index);
    at = found.index + found[0].length;
    style = styleAfter(style, found[1]!);
    if (runs.at(-1)?.start === plain.length) runs.pop();
    runs.push({ start: plain.length, style });
  }
  return { plain: plain + text.slice(at), runs };
}

const known = new Map<string, Style>();

function styleAfter(style: Style, parameters: string): Style {
  if (parameters === "" || parameters === "0") return PLAIN;
  // Each sequence that the server makes begins from nothing: with a reset, or in a line without a style.
  if (style !== PLAIN && !parameters.startsWith("0;")) return applied(style, parameters);
  let made = known.get(parameters);
  if (!made) {
    if (known.size > 2000) known.clear();
    known.set(parameters, (made = applied(PLAIN, parameters)));
  }
  return made;
}

function applied(before: Style, parameters: string): Style {
  let style = { ...before };
  const codes = parameters.split(";").map(Number);
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i]!;
    if (code === 0) style = { ...PLAIN };
    else if (code === 1) style.bold = true;
    else if (code === 2 || code === 8) style.dim = true;
    else if (code === 3) style.italic = true;
    else if (code === 4) style.underline = true;
    else if (code === 7) style.inverse = true;
    else if (code === 9) style.strike = true;
    else if (code >= 30 && code <= 37) style.fg = code - 30;
    else if (code >= 90 && code <= 97) style.fg = code - 82;
    else if (code >= 40 && code <= 47) style.bg = code - 40;
    else if (code >= 100 && code <= 107) style.bg = code - 92;
    else if (code === 38 || code === 48) {
      const wide = codes[i + 1] === 2;
      const colour = wide ? ([codes[i + 2], codes[i + 3], codes[i + 4]] as [number, number, number]) : indexed(codes[i + 2] ?? 0);
      if (code === 38) style.fg = colour;
      else style.bg = colour;
      i += wide ? 4 : 2;
    }
  }
  return style;
}

/** One of the 256 colours: the 16, a cube of 6 × 6 × 6, and greys. */
function indexed(index: number): Colour {
  if (index < 16) return index;
  if (index >= 232) {
    const grey = 8 + (index - 232) * 10;
    return [grey, grey, grey];
  }
  const level = (value: number): number => (value === 0 ? 0 : 55 + value * 40);
  const cube = index - 16;
  return [level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6)];
}
