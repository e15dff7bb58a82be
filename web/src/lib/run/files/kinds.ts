/** How a file is shown, by what its name says it is; its bytes have the last word (see `isText`). */
import type { RunFile } from "../../api/types";

export type Kind = "text" | "json" | "table" | "image" | "audio" | "video" | "notebook" | "markdown" | "page" | "diff" | "hex";

const IMAGES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp", "image/x-icon", "image/vnd.microsoft.icon"]);
const NEVER_TEXT = /^(font|model)\/|zip|compressed|x-tar|pdf|msword|officedocument|ms-excel|vnd\.ms-|sqlite|wasm|x-hdf|parquet|java-archive|executable/;

export function kindOf(file: RunFile): Kind {
  const type = file.media_type;
  if (type === "text/html" || type === "image/svg+xml") return "page";
  if (IMAGES.has(type)) return "image";
  if (type.startsWith("audio/")) return "audio";
  if (type.startsWith("video/")) return "video";
  if (type === "application/x-ipynb+json") return "notebook";
  if (type === "text/markdown") return "markdown";
  if (type === "text/csv" || type === "text/tab-separated-values") return "table";
  if (type === "application/json" || type === "application/geo+json") return "json";
  if (type === "text/x-diff") return "diff";
  if (type.startsWith("image/") || NEVER_TEXT.test(type)) return "hex";
  return "text";
}

/** The kinds that are made of the file's text, which can be seen too. */
export function hasSource(kind: Kind): boolean {
  return kind === "json" || kind === "table" || kind === "notebook" || kind === "markdown" || kind === "page";
}

/** Whether these first bytes of a file are text: without NUL, and UTF-8 but for a letter that is cut at the end. */
export function isText(bytes: Uint8Array): boolean {
  if (bytes.includes(0)) return hasUtf16Mark(bytes);
  const text = new TextDecoder().decode(bytes.subarray(0, 65536), { stream: true });
  let odd = 0;
  for (const sign of text) if (sign === "\ufffd") odd++;
  return odd * 20 <= text.length;
}

function hasUtf16Mark(bytes: Uint8Array): boolean {
  return (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
}

/** The text of the first bytes of a file; a letter that is cut at the end is left out. */
export function decodeText(bytes: Uint8Array): string {
  const name = !hasUtf16Mark(bytes) ? "utf-8" : bytes[0] === 0xff ? "utf-16le" : "utf-16be";
  return new TextDecoder(name).decode(bytes, { stream: true });
}
