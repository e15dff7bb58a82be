/** The x axis and the zoom as the address carries them. */
import type { XAxis } from "../api/types";
import type { Range } from "./lines";

/** The axis that `?x=` names, if it is one of `axes`; else the first of them. */
export function readAxis(x: string | null, axes: readonly XAxis[] = AXES): XAxis {
  return axes.find((axis) => axis === x) ?? axes[0]!;
}

/** The x axes of what a run logged, the usual one first. */
export const AXES: readonly XAxis[] = ["_step", "_runtime", "_timestamp"];

/** `low..high`; null where it is no range. */
export function readZoom(range: string | null): Range | null {
  const [low, high] = (range ?? "").split("..").map((text) => (text === "" ? NaN : Number(text)));
  return low !== undefined && high !== undefined && low < high ? [low, high] : null;
}

export function axisParams(axis: XAxis, axes: readonly XAxis[] = AXES): { x: string | null; range: null } {
  return { x: axis === axes[0] ? null : axis, range: null };
}

export function zoomParams(zoom: Range | null): { range: string | null } {
  return { range: zoom ? `${Number(zoom[0].toPrecision(12))}..${Number(zoom[1].toPrecision(12))}` : null };
}
