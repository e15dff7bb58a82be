/** Signs that would not be seen, or that turn what stands around them, spelled out. */

/** Embeddings, overrides and isolates of writing directions: they let a text read as another one. */
const DIRECTIONS = /[\u202a-\u202e\u2066-\u2069]/g;
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;
const KNOWN: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** A name with what would not be seen spelled out: a line break, a tab, other controls. */
export function visibleName(name: string): string {
  return name.replace(UNSEEN, spelled);
}

/** A text in the order in which its signs are stored; its line breaks and tabs stay. */
export function visibleDirections(text: string): string {
  return text.replace(DIRECTIONS, spelled);
}

function spelled(sign: string): string {
  return KNOWN[sign] ?? `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
