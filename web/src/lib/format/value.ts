/** Values as people read them: at most four significant digits, `—` for what is absent. */
import type { Json } from "../api/numbers";

export const ABSENT = "—";
const MINUS = "−";
/** What fits beside the y axis. */
const LONGEST_TICK = 6;
const LONGEST_EXACT = 9;
const UNITS = ["", "k", "M", "G", "T", "P"];

function trimZeros(digits: string): string {
  return digits.includes(".") ? digits.replace(/\.?0+$/, "") : digits;
}

/** A number in at most four significant digits. */
export function shortNumber(value: number | bigint): string {
  const number = Number(value);
  if (Number.isNaN(number)) return "NaN";
  const sign = number < 0 ? MINUS : "";
  const size = Math.abs(number);
  if (size === Infinity) return `${sign}∞`;
  if (size === 0) return "0";
  if (size < 1e-3) {
    const [mantissa, exponent] = size.toExponential(3).split("e");
    return `${sign}${trimZeros(mantissa!)}e${exponent!.replace("-", MINUS)}`;
  }
  if (size < 9999.5) return sign + trimZeros(size.toPrecision(4));
  let power = Math.floor(Math.log10(size) / 3);
  let digits = (size / 1000 ** power).toPrecision(4);
  if (Number(digits) >= 1000) digits = (size / 1000 ** ++power).toPrecision(4);
  if (power >= UNITS.length) {
    const [mantissa, exponent] = size.toExponential(3).split("e");
    return `${sign}${trimZeros(mantissa!)}e${exponent!.replace("+", "")}`;
  }
  return sign + trimZeros(digits) + UNITS[power]!;
}

/** A number's text with its unit: `43.5 %`, `61 °C`. */
export function withUnit(text: string, unit: string): string {
  return unit ? `${text}\u00a0${unit}` : text;
}

/** Tick labels of an axis: as many decimals as its step needs, so that no two neighbours read the same. */
export function tickLabels(ticks: readonly number[], step: number): string[] {
  const largest = ticks.reduce((most, tick) => Math.max(most, Math.abs(tick)), 0);
  const power = largest >= 1e4 && step >= 1 ? Math.min(5, Math.floor(Math.log10(largest) / 3)) : 0;
  const unit = 1000 ** power;
  const decimals = decimalsOf(step / unit);
  const labels = ticks.map((tick) => {
    const digits = trimZeros(Math.abs(tick / unit).toFixed(decimals));
    return digits === "0" ? "0" : (tick < 0 ? MINUS : "") + digits + UNITS[power]!;
  });
  if (labels.every((label) => label.length <= LONGEST_TICK)) return labels;
  const exact = ticks.map((tick) => scientific(tick, step));
  return exact.every((label) => label.length <= LONGEST_EXACT) ? exact : ticks.map((tick, i) => fromFirst(tick, ticks[0]!, i));
}

/** Numbers that differ far behind their first digits: the first one in short, the others by how far they are from it. */
function fromFirst(tick: number, first: number, place: number): string {
  return place === 0 ? shortNumber(first) : `+${shortNumber(tick - first)}`;
}

function scientific(value: number, step: number): string {
  if (Math.abs(value) < step / 1e6) return "0";
  const digits = Math.floor(Math.log10(Math.abs(value))) - Math.floor(Math.log10(step)) + decimalsOf(step / 10 ** Math.floor(Math.log10(step)));
  const [mantissa, exponent] = value.toExponential(Math.min(12, Math.max(0, digits))).split("e");
  return `${trimZeros(mantissa!)}e${exponent!.replace("+", "")}`.replace(/-/g, MINUS);
}

/** Decimals that write `step` exactly: 2 for 0.25. */
function decimalsOf(step: number): number {
  let decimals = 0;
  while (decimals < 12 && Math.abs(step * 10 ** decimals - Math.round(step * 10 ** decimals)) > 1e-6 * step * 10 ** decimals) decimals++;
  return decimals;
}

/** A value for a wide place: whole numbers with all their digits, others in four. */
export function readableValue(value: Json): string {
  const whole = typeof value === "bigint" || (typeof value === "number" && Number.isSafeInteger(value));
  return whole ? String(value).replace("-", MINUS) : shortValue(value);
}

/** Every digit of a value, as Python would print it; for hover and copying. */
export function fullValue(value: Json | undefined): string {
  if (value === undefined) return "";
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "bigint") return String(value).replace("Infinity", "inf");
  return plain(value);
}

function plain(value: Json): string {
  if (value === null) return "None";
  if (typeof value === "string") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(plain).join(", ")}]`;
  if (value instanceof Uint8Array) return `bytes (${value.length})`;
  if (typeof value === "object") {
    return `{${Object.entries(value)
      .map(([key, item]) => `${key}: ${plain(item)}`)
      .join(", ")}}`;
  }
  return String(value).replace("Infinity", "inf");
}

/** A value in one short line. */
export function shortValue(value: Json | undefined): string {
  if (value === undefined) return ABSENT;
  if (typeof value === "number" || typeof value === "bigint") return shortNumber(value);
  if (Array.isArray(value)) return `[${value.map((item) => shortValue(item)).join(", ")}]`;
  if (value === null || typeof value === "object") return plain(value);
  return String(value);
}

/** Long text with its middle left out, at most `length` characters. */
export function cutMiddle(text: string, length: number): string {
  const characters = [...text];
  if (characters.length <= length) return text;
  const head = Math.ceil((length - 1) * 0.6);
  return `${characters.slice(0, head).join("")}…${characters.slice(characters.length - (length - 1 - head)).join("")}`;
}
