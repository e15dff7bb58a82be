/** Sizes of files as people read them: powers of 1000, at most three significant digits. */
import { language } from "../i18n/i18n.svelte";

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

export function fileSize(bytes: number): string {
  let power = 0;
  let size = bytes;
  // 999,600 bytes are 1 MB, not 1000 kB.
  while (power < UNITS.length - 1 && size >= (power === 0 ? 1000 : 999.5)) {
    size /= 1000;
    power++;
  }
  const digits = power === 0 ? size : Number(size.toPrecision(3));
  return `${digits.toLocaleString(language.current)} ${UNITS[power]!}`;
}
