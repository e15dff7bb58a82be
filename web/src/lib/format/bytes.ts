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

const BINARY_UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** A size of memory, in powers of 1024 as it is built and sold, at most three significant digits. */
export function memorySize(bytes: number): string {
  let power = 0;
  let size = bytes;
  while (power < BINARY_UNITS.length - 1 && size >= 1023.5) {
    size /= 1024;
    power++;
  }
  return `${(size < 1000 ? Number(size.toPrecision(3)) : Math.round(size)).toLocaleString(language.current)} ${BINARY_UNITS[power]!}`;
}
