/** Places the names of lines at their ends so that none covers another. */
import { cutMiddle } from "../format/value";
import { measure } from "../theme/tokens";
import { scaleOf, type View } from "./draw";
import type { Line } from "./lines";

const LABEL_GAP = 5;

export interface EndLabel {
  line: Line;
  /** Position of the label's left middle in the plot area, CSS pixels. */
  left: number;
  top: number;
}

export function endLabels(lines: readonly Line[], view: View, lineHeight: number): EndLabel[] {
  const scale = scaleOf(view);
  const labels: EndLabel[] = [];
  for (const line of lines) {
    const { x, y } = line.data;
    let i = line.data.length - 1;
    while (i >= 0 && (Number.isNaN(y[i]!) || x[i]! > view.x[1])) i--;
    if (i < 0 || x[i]! < view.x[0]) continue;
    labels.push({
      line,
      left: Math.min(scale.x(x[i]!), view.width) + LABEL_GAP,
      top: Math.min(view.height, Math.max(0, scale.y(y[i]!))),
    });
  }
  labels.sort((a, b) => a.top - b.top);
  spread(labels, lineHeight, view.height);
  return labels;
}

let ruler: CanvasRenderingContext2D | null = null;

/** Room that the longest of these names needs beside the plot area of a panel this wide, CSS pixels. */
export function gutterFor(names: readonly string[], panel: number): number {
  ruler ??= document.createElement("canvas").getContext("2d");
  const most = Math.min(measure("label-gutter"), Math.floor(panel * measure("label-share"))) + measure("label-mark");
  if (!ruler) return most;
  ruler.font = `${measure("text-xs")}px ${getComputedStyle(document.body).fontFamily}`;
  const widest = names.reduce((most, name) => Math.max(most, ruler!.measureText(name).width), 0);
  return Math.min(most, Math.ceil(widest) + 2 + measure("label-mark"));
}

/** The name as it fits into `width` CSS pixels: two runs often differ in their last letters only, so the middle goes. */
export function fitName(name: string, width: number): string {
  if (!ruler) return name;
  let letters = [...name].length;
  let fitted = name;
  while (letters > 4 && ruler.measureText(fitted).width > width) fitted = cutMiddle(name, --letters);
  return fitted;
}

/** Push labels down, then back up from the lower edge, until they are `gap` apart. */
function spread(labels: EndLabel[], gap: number, height: number): void {
  for (let i = 1; i < labels.length; i++) {
    labels[i]!.top = Math.max(labels[i]!.top, labels[i - 1]!.top + gap);
  }
  let limit = height;
  for (let i = labels.length - 1; i >= 0; i--) {
    labels[i]!.top = Math.min(labels[i]!.top, limit);
    limit = labels[i]!.top - gap;
  }
}
