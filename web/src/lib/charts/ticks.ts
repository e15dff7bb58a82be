/** Where the ticks of a linear axis stand. */

// More than fit beside any chart: such a step cannot be told apart at this size of number.
const MOST_TICKS = 200;

/** The multiples of `step` within the range; none where `step` is too fine for numbers of this size. */
export function ticksOf(low: number, high: number, step: number): number[] {
  const first = Math.ceil(low / step);
  const count = Math.floor(high / step) - first + 1;
  if (!(count >= 1 && count <= MOST_TICKS)) return [];
  const ticks = Array.from({ length: count }, (_, i) => Number(((first + i) * step).toPrecision(15)) + 0);
  return ticks.filter((tick, i) => tick >= low && tick <= high && tick !== ticks[i - 1]);
}
