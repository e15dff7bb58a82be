/** One line chart: uPlot for axes, pointer and selection, two canvases above it for the lines. */
import uPlot from "uplot";
import type { XAxis } from "../api/types";
import { tickLabels, withUnit } from "../format/value";
import { colors, measure, runColorToken } from "../theme/tokens";
import { axisTicks } from "./axis";
import { drawDot, drawLines, fitCanvas, scaleOf, type Ink, type View } from "./draw";
import { widthOfLongest } from "./labels";
import { heightAt, nearestIndex, nearestLine, widened, xExtent, yRange, type Line, type Range } from "./lines";
import { ticksOf } from "./ticks";

export interface Pointer {
  /** Position in the plot area and on the screen, CSS pixels. */
  left: number;
  top: number;
  clientX: number;
  clientY: number;
  x: number;
  nearest: Line | null;
}

export interface PlotEvents {
  pointer(pointer: Pointer | null): void;
  zoom(range: Range): void;
  resetZoom(): void;
  /** The scales or the size have changed: what lies beside the lines moves too. */
  drawn(view: View): void;
}

export interface PlotLook {
  axis: XAxis;
  /** Room for names at the ends of lines, CSS pixels. */
  gutter: number;
  /** Unit of the values, named at each tick; "" for bare numbers. */
  unit: string;
  /** Whether the y axis begins at zero. */
  fromZero: boolean;
}

export class Plot {
  #plot: uPlot;
  #base = document.createElement("canvas");
  #top = document.createElement("canvas");
  #lines: readonly Line[] = [];
  #zoom: Range | null = null;
  #x: Range = [0, 1];
  #y: Range = [0, 1];
  #emphasis: string | null = null;
  #marked: number | null = null;
  #paint: Record<string, string> = {};
  #sizes = { line: 1, strong: 2, point: 3, band: 0, dimmed: 1 };
  #foreignCursor = false;
  #frame = 0;

  constructor(
    host: HTMLElement,
    width: number,
    private readonly look: PlotLook,
    private readonly events: PlotEvents,
  ) {
    this.#plot = new uPlot(this.#options(width), [[0, 1], [null, null]], host);
    for (const canvas of [this.#base, this.#top]) {
      canvas.className = "lines";
      canvas.setAttribute("aria-hidden", "true");
      this.#plot.over.prepend(canvas);
    }
    this.#plot.over.prepend(this.#base);
    this.#plot.over.addEventListener("mouseleave", () => events.pointer(null));
    this.setColors();
  }

  /** Whether these very lines are drawn already. */
  shows(lines: readonly Line[], zoom: Range | null): boolean {
    return lines === this.#lines && zoom === this.#zoom;
  }

  /** Show these lines; the x range follows them unless zoomed. */
  setLines(lines: readonly Line[], zoom: Range | null): void {
    this.#lines = lines;
    this.#zoom = zoom;
    this.#x = widened(zoom ?? xExtent(lines) ?? this.#x);
    this.#y = yRange(lines, zoom, this.look.fromZero);
    this.#apply();
  }

  /** Take the colours of the theme that is shown now. */
  setColors(): void {
    const wanted = ["ink-quiet", "grid", "border", "ink", ...Array.from({ length: 20 }, (_, i) => runColorToken(i))];
    this.#paint = colors(wanted);
    this.#sizes = { line: measure("line-width"), strong: measure("line-width-emphasis"), point: measure("point-radius"), band: measure("band"), dimmed: measure("dimmed") };
    this.#plot.redraw(false, true);
    this.#drawBase();
    this.#drawTop();
  }

  resize(width: number): void {
    if (width === this.#plot.width) return;
    this.#plot.setSize({ width, height: measure("chart-height") });
  }

  /** Dim all lines but those of this run; null shows all alike. */
  emphasise(run: string | null): void {
    if (run === this.#emphasis) return;
    this.#emphasis = run;
    const present = run !== null && this.#lines.some((line) => line.run === run);
    this.#base.style.opacity = present && this.#lines.length > 1 ? String(this.#sizes.dimmed) : "";
    this.#drawTop();
  }

  /** Put the shared hover line at `x`; null removes it. */
  setHoverLine(x: number | null): void {
    this.#foreignCursor = true;
    const inside = x !== null && x >= this.#x[0] && x <= this.#x[1];
    const left = inside ? this.#plot.valToPos(x, "x") : -10;
    this.#plot.setCursor({ left, top: inside ? 0 : -10 }, false);
    this.#foreignCursor = false;
    this.mark(inside ? x : null);
  }

  /** Where the pointer would be at `x`, on `line` or, without one, on the line nearest to the middle. */
  pointAt(x: number, line: Line | null): Pointer {
    const view = this.view;
    const perUnit = view.height / (view.y[1] - view.y[0]);
    const known = line && this.#lines.find((each) => each.id === line.id);
    const nearest = known ?? nearestLine(this.#lines, x, (view.y[0] + view.y[1]) / 2, perUnit);
    const height = nearest ? heightAt(nearest.data, x) : NaN;
    const left = ((x - view.x[0]) / (view.x[1] - view.x[0])) * view.width;
    const top = Number.isNaN(height) ? view.height / 2 : (view.y[1] - height) * perUnit;
    const box = this.#plot.over.getBoundingClientRect();
    this.setHoverLine(x);
    return { left, top, clientX: box.left + left, clientY: box.top + top, x, nearest };
  }

  /** Mark the emphasised line's point at `x`. */
  mark(x: number | null): void {
    if (x === this.#marked) return;
    this.#marked = x;
    if (this.#emphasis !== null) this.#drawTop();
  }

  destroy(): void {
    cancelAnimationFrame(this.#frame);
    this.#plot.destroy();
  }

  get view(): View {
    const { left, width, height } = this.#plot.bbox;
    const ratio = uPlot.pxRatio;
    return { x: this.#x, y: this.#y, left: left / ratio, width: width / ratio, height: height / ratio, ratio };
  }

  #apply(): void {
    const [low, high] = this.#x;
    this.#plot.setData([[low, high], [null, null]], false);
    this.#plot.batch(() => {
      this.#plot.setScale("x", { min: low, max: high });
      this.#plot.setScale("y", { min: this.#y[0], max: this.#y[1] });
    });
  }

  #ink(emphasised: boolean): Ink {
    return {
      lineWidth: emphasised ? this.#sizes.strong : this.#sizes.line,
      pointRadius: this.#sizes.point,
      band: this.#sizes.band,
      color: (line) => this.#paint[runColorToken(line.color)]!,
    };
  }

  #drawBase(): void {
    const view = this.view;
    if (view.width === 0) return;
    drawLines(fitCanvas(this.#base, view), this.#lines, view, this.#ink(false));
  }

  #drawTop(): void {
    const view = this.view;
    if (view.width === 0) return;
    const context = fitCanvas(this.#top, view);
    if (this.#emphasis === null) return;
    const chosen = this.#lines.filter((line) => line.run === this.#emphasis);
    const ink = this.#ink(true);
    if (this.#lines.length > 1) drawLines(context, chosen, view, ink);
    if (this.#marked === null) return;
    const scale = scaleOf(view);
    for (const line of chosen) {
      const i = nearestIndex(line.data, this.#marked);
      if (i < 0 || Number.isNaN(line.data.y[i]!)) continue;
      context.fillStyle = ink.color(line);
      drawDot(context, scale.x(line.data.x[i]!), scale.y(line.data.y[i]!), ink.pointRadius + 1);
    }
  }

  #onCursor(): void {
    if (this.#foreignCursor) return;
    const { left, top, event } = this.#plot.cursor;
    if (left === undefined || top === undefined || left < 0 || !(event instanceof MouseEvent)) return;
    const view = this.view;
    const x = view.x[0] + (left / view.width) * (view.x[1] - view.x[0]);
    const y = view.y[1] - (top / view.height) * (view.y[1] - view.y[0]);
    const nearest = nearestLine(this.#lines, x, y, view.height / (view.y[1] - view.y[0]));
    const { clientX, clientY } = event;
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.events.pointer({ left, top, clientX, clientY, x, nearest }));
  }

  #onSelect(): void {
    const { left, width } = this.#plot.select;
    if (width < 4) return;
    const view = this.view;
    const at = (pixels: number): number => view.x[0] + (pixels / view.width) * (view.x[1] - view.x[0]);
    this.#plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    this.events.zoom([at(left), at(left + width)]);
  }

  #options(width: number): uPlot.Options {
    const font = `${measure("text-xs")}px ${getComputedStyle(document.body).fontFamily}`;
    const stroke = (): string => this.#paint["ink-quiet"] ?? "";
    const shared = { font, stroke, ticks: { show: false }, border: { show: false } };
    const space = measure("space-2");
    return {
      width,
      height: measure("chart-height"),
      padding: [space, this.look.gutter || space * 2, 0, 0],
      legend: { show: false },
      scales: {
        x: { time: false, auto: false, range: () => [this.#x[0], this.#x[1]] },
        y: { auto: false, range: () => [this.#y[0], this.#y[1]] },
      },
      series: [{}, { show: true, points: { show: false } }],
      axes: [
        { ...shared, ...axisTicks(this.look.axis), size: measure("axis-height"), gap: 6, grid: { show: false } },
        {
          ...shared,
          size: (_plot, labels) => Math.max(measure("axis-width"), widthOfLongest(labels ?? []) + measure("space-2")),
          gap: 4,
          space: 36,
          splits: (_plot, _axis, low, high, step) => ticksOf(low, high, step),
          grid: { stroke: () => this.#paint["grid"] ?? "", width: 1 },
          values: (_plot, ticks, _axis, _space, step) =>
            tickLabels(ticks, step).map((label) => withUnit(label, this.look.unit)),
        },
      ],
      cursor: {
        y: false,
        points: { show: false },
        drag: { x: true, y: false, setScale: false },
        bind: {
          dblclick: () => () => {
            this.events.resetZoom();
            return null;
          },
        },
      },
      hooks: {
        setCursor: [() => this.#onCursor()],
        setSelect: [() => this.#onSelect()],
        draw: [
          () => {
            this.#drawBase();
            this.#drawTop();
            this.events.drawn(this.view);
          },
        ],
      },
    };
  }
}
