/** The one JSON encoding of numbers: `{"$float": "NaN"}` and `{"$int": "…"}` become numbers and bigints. */

export type Json = null | boolean | number | bigint | string | Json[] | { [key: string]: Json };

const FLOATS: Record<string, number> = { NaN, Infinity, "-Infinity": -Infinity };

function revive(_key: string, value: unknown): unknown {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
  const keys = Object.keys(value);
  if (keys.length !== 1) return value;
  const only = (value as Record<string, unknown>)[keys[0]!];
  if (typeof only !== "string") return value;
  if (keys[0] === "$float" && only in FLOATS) return FLOATS[only];
  if (keys[0] === "$int" && /^-?\d+$/.test(only)) return BigInt(only);
  return value;
}

/** Parse a body of the HTTP API. */
export function parseJson(text: string): unknown {
  return JSON.parse(text, revive);
}
