/** A JSON file of the user's own as the tree shows it: whole numbers with all their digits, lists by place. */
import type { Json } from "../../api/numbers";

/** What the text says, undefined where it is no JSON. NaN and the infinities are read, as Python writes them. */
export function readJson(text: string): Json | undefined {
  try {
    return branches(parse(text));
  } catch {
    return undefined;
  }
}

const TAG = "\u0000number:";

/** JSON.parse rounds big integers and refuses NaN: such numbers pass through it as marked strings. */
function parse(text: string): Json {
  const marked = text.replace(/"(?:[^"\\]|\\[^])*"|(?<![\w.])-?(?:NaN|Infinity|\d{16,}(?![.\deE]))/g, (found) => (found.startsWith('"') ? found : `"\\u0000number:${found}"`));
  return JSON.parse(marked, (_key, value: unknown) => {
    if (typeof value !== "string" || !value.startsWith(TAG)) return value;
    const number = value.slice(TAG.length);
    return /\d/.test(number) ? BigInt(number) : number === "NaN" ? NaN : number.startsWith("-") ? -Infinity : Infinity;
  }) as Json;
}

/** Lists that hold more than plain values become maps by place, so that they fold too. */
function branches(value: Json): Json {
  if (Array.isArray(value)) {
    if (value.every((item) => item === null || typeof item !== "object")) return value;
    return Object.fromEntries(value.map((item, place) => [String(place), branches(item)]));
  }
  if (value !== null && typeof value === "object" && !(value instanceof Uint8Array)) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, branches(item)]));
  }
  return value;
}
