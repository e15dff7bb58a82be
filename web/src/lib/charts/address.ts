/** The x axis and the zoom as the address carries them. */
import type { XAxis } from "../api/types";
import type { Range } from "./lines";

export function readAxis(x: string | null): XAxis {
  return x === "_runtime" || x === "_timestamp" ? x : "_step";
}

/** `low..high`; null where it is no range. */
export function readZoom(range: string | null): Range | null {
  const [low, high] = (range ?? "").split("..").map((text) => (text === "" ? NaN : Number(text)));
  return low !== undefined && high !== undefined && low < high ? [low, high] : null;
}

export function axisParams(axis: XAxis): { x: string | null; range: null } {
  return { x: axis === "_step" ? null : axis, range: null };
}

export function zoomParams(zoom: Range | null): { range: string | null } {
  return { range: zoom ? `${Number(zoom[0].toPrecision(12))}..${Number(zoom[1].toPrecision(12))}` : null };
}
