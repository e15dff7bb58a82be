/** The one JSON encoding of values that JSON lacks (kiseki.records.numbers): NaN, ±inf, big integers, bytes. */

export type Json = null | boolean | number | bigint | string | Uint8Array | Json[] | { [key: string]: Json };

type Plain = null | boolean | number | string | Plain[] | { [key: string]: Plain };

const FLOATS: Record<string, number> = { NaN, Infinity, "-Infinity": -Infinity };

/** Parse a body of the HTTP API. */
export function parseJson(text: string): unknown {
  return decode(JSON.parse(text) as Plain);
}

function decode(value: Plain): Json {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(decode);
  const keys = Object.keys(value);
  if (keys.length === 1) {
    const inner = value[keys[0]!]!;
    if (keys[0] === "$float" && typeof inner === "string") return FLOATS[inner] ?? NaN;
    if (keys[0] === "$int" && typeof inner === "string") return BigInt(inner);
    if (keys[0] === "$bytes" && typeof inner === "string") return Uint8Array.from(atob(inner), (each) => each.charCodeAt(0));
    // A map of the user's own whose only key looks like one of these tags.
    if (keys[0] === "$map" && inner !== null && typeof inner === "object" && !Array.isArray(inner)) return decodeEach(inner);
  }
  return decodeEach(value);
}

function decodeEach(map: { [key: string]: Plain }): { [key: string]: Json } {
  return Object.fromEntries(Object.entries(map).map(([key, item]) => [key, decode(item)]));
}
