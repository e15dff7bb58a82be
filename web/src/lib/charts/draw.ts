/** Draws lines on a canvas that covers exactly the plot area. */
import type { Line, LineData, Range } from "./lines";

export interface View {
  x: Range;
  y: Range;
  /** Room that the y axis takes on the left, CSS pixels. */
  left: number;
  /** Size in CSS pixels, and device pixels per CSS pixel. */
  width: number;
  height: number;
  ratio: number;
}

export interface Ink {
  lineWidth: number;
  pointRadius: number;
  /** Opacity of the min–max band. */
  band: number;
  color(line: Line): string;
}

// The bands of many lines lie over each other: together they are as strong as those of a few.
const FEW_LINES = 6;
// From here on lines are told apart by hovering; thin ones cover less of each other and draw faster.
const MANY_LINES = 24;

export function fitCanvas(canvas: HTMLCanvasElement, view: View): CanvasRenderingContext2D {
  const width = Math.round(view.width * view.ratio);
  const height = Math.round(view.height * view.ratio);
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const context = canvas.getContext("2d")!;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, width, height);
  context.setTransform(view.ratio, 0, 0, view.ratio, 0, 0);
  return context;
}

export function drawLines(context: CanvasRenderingContext2D, lines: readonly Line[], view: View, ink: Ink): void {
  const band = ink.band * Math.min(1, FEW_LINES / lines.length);
  // Round joins cost most of a chart's drawing, and are not seen at this width.
  context.lineJoin = "bevel";
  const lineWidth = lines.length > MANY_LINES ? Math.min(1, ink.lineWidth) : ink.lineWidth;
  for (const line of lines) {
    const color = ink.color(line);
    context.strokeStyle = color;
    context.fillStyle = color;
    if (line.data.banded && bandShows(line.data, view, ink.lineWidth)) {
      context.globalAlpha = band;
      drawBand(context, line.data, view);
      context.globalAlpha = 1;
    }
    context.lineWidth = lineWidth;
    context.setLineDash(line.lane > 0 ? [4, 3] : []);
    drawMean(context, line.data, view, ink.pointRadius);
    context.setLineDash([]);
    drawEdgeMarks(context, line.data, view, ink.pointRadius);
  }
}

interface Scale {
  x(value: number): number;
  y(value: number): number;
}

export function scaleOf(view: View): Scale {
  const perX = view.width / (view.x[1] - view.x[0]);
  const perY = view.height / (view.y[1] - view.y[0]);
  return {
    x: (value) => (value - view.x[0]) * perX,
    y: (value) => view.height - (value - view.y[0]) * perY,
  };
}

function drawMean(context: CanvasRenderingContext2D, data: LineData, view: View, radius: number): void {
  const scale = scaleOf(view);
  const { x, y, length } = data;
  const lone: number[] = [];
  let open = false;
  context.beginPath();
  for (let i = 0; i < length; i++) {
    if (Number.isNaN(y[i]!)) {
      open = false;
      continue;
    }
    if (open) context.lineTo(scale.x(x[i]!), scale.y(y[i]!));
    else {
      context.moveTo(scale.x(x[i]!), scale.y(y[i]!));
      if (i + 1 === length || Number.isNaN(y[i + 1]!)) lone.push(i);
    }
    open = true;
  }
  context.stroke();
  for (const i of lone) drawDot(context, scale.x(x[i]!), scale.y(y[i]!), radius);
}

export function drawDot(context: CanvasRenderingContext2D, x: number, y: number, radius: number): void {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

function drawBand(context: CanvasRenderingContext2D, data: LineData, view: View): void {
  const scale = scaleOf(view);
  const { x, y, length, series } = data;
  for (let start = 0; start < length; ) {
    if (Number.isNaN(y[start]!)) {
      start++;
      continue;
    }
    let end = start + 1;
    while (end < length && !Number.isNaN(y[end]!)) end++;
    context.beginPath();
    if (end - start === 1) {
      // A lone bucket: its band is as wide as the bucket.
      const left = scale.x(series.xFirst[start]!);
      const right = Math.max(left + 2, scale.x(series.xLast[start]!));
      context.rect(left, scale.y(series.max[start]!), right - left, scale.y(series.min[start]!) - scale.y(series.max[start]!));
    } else {
      for (let i = start; i < end; i++) context.lineTo(scale.x(x[i]!), scale.y(series.max[i]!));
      for (let i = end - 1; i >= start; i--) context.lineTo(scale.x(x[i]!), scale.y(series.min[i]!));
      context.closePath();
    }
    context.fill();
    start = end;
  }
}

/** Whether the band reaches beyond the line anywhere; below it, drawing it would only cost time. */
function bandShows({ length, series }: LineData, view: View, lineWidth: number): boolean {
  const perY = view.height / (view.y[1] - view.y[0]);
  for (let i = 0; i < length; i++) if (series.count[i]! > 1 && (series.max[i]! - series.min[i]!) * perY > lineWidth) return true;
  return false;
}

/** A triangle at the upper or lower edge where the values are +inf or −inf. */
function drawEdgeMarks(context: CanvasRenderingContext2D, data: LineData, view: View, radius: number): void {
  const scale = scaleOf(view);
  const { x, length, series } = data;
  const size = radius * 1.5;
  for (let i = 0; i < length; i++) {
    if (series.pinf[i]! > 0) triangle(context, scale.x(x[i]!), 0, size);
    if (series.ninf[i]! > 0) triangle(context, scale.x(x[i]!), view.height, -size);
  }
}

function triangle(context: CanvasRenderingContext2D, x: number, edge: number, size: number): void {
  context.beginPath();
  context.moveTo(x, edge);
  context.lineTo(x - Math.abs(size), edge + size * 1.6);
  context.lineTo(x + Math.abs(size), edge + size * 1.6);
  context.fill();
}
