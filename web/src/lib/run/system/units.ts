/** Units of what is measured: one in which the largest value of a chart reads well. */

export interface Scale {
  unit: string;
  /** What a recorded value is divided by. */
  by: number;
}

/** Powers of 1024, as the sidecar (and wandb) count memory and disks. */
const BYTES = ["B", "kB", "MB", "GB", "TB"];

/** The scale for values up to `largest` (in `unit`). Sizes and rates change their unit; all else stays as recorded. */
export function scaleFor(unit: string, largest: number): Scale {
  const [size, rate] = unit.endsWith("/s") ? [unit.slice(0, -2), "/s"] : [unit, ""];
  const recorded = BYTES.indexOf(size);
  if (recorded < 0 || !Number.isFinite(largest)) return { unit, by: 1 };
  let place = recorded;
  let by = 1;
  while (place + 1 < BYTES.length && largest / by >= 1024) {
    by *= 1024;
    place++;
  }
  while (place > 0 && largest > 0 && largest / by < 1) {
    by /= 1024;
    place--;
  }
  return { unit: BYTES[place]! + rate, by };
}
