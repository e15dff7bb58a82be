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

/** Width of the longest of these texts in a chart's type, CSS pixels; 0 where nothing can measure it. */
export function widthOfLongest(texts: readonly string[]): number {
  ruler ??= newRuler();
  return texts.reduce((most, text) => Math.max(most, ruler?.measureText(text).width ?? 0), 0);
}

function newRuler(): CanvasRenderingContext2D | null {
  const context = document.createElement("canvas").getContext("2d");
  if (context) context.font = `${measure("text-xs")}px ${getComputedStyle(document.body).fontFamily}`;
  return context;
}

/** Room for these names beside the plot area of a panel this wide, CSS pixels: what they need, and never the plot's share. */
export function gutterFor(names: readonly string[], panel: number): number {
  const room = Math.floor(panel * (1 - measure("plot-share"))) - measure("axis-width");
  const most = Math.min(measure("label-gutter") + measure("label-mark"), Math.max(0, room));
  return Math.min(most, Math.ceil(widthOfLongest(names)) + 2 + measure("label-mark"));
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
