/** The three x axes: how their values read on the axis and in the hover box. */
import type uPlot from "uplot";
import type { XAxis } from "../api/types";
import { moment } from "../format/time.svelte";
import { fullValue, shortNumber, tickLabels } from "../format/value";
import { language } from "../i18n/i18n.svelte";
import type { Range } from "./lines";
import { ticksOf } from "./ticks";

const SECONDS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800];

function clockLabel(seconds: number, step: number): string {
  if (step < 1) return `${shortNumber(seconds)} s`;
  const whole = Math.round(seconds);
  const two = (value: number): string => String(value).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  if (hours >= 48 && step >= 3600) return `${shortNumber(whole / 86400)} d`;
  if (step >= 60) return `${hours}:${two(minutes)}`;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

function wallLabel(time: number, step: number): string {
  const options: Intl.DateTimeFormatOptions =
    step >= 86400
      ? { month: "short", day: "numeric" }
      : step >= 60
        ? { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }
        : { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
  return new Intl.DateTimeFormat(language.current, options).format(time * 1000);
}

/** uPlot's options for the ticks of an x axis. */
export function axisTicks(axis: XAxis): Pick<uPlot.Axis, "values" | "space" | "incrs" | "splits"> {
  const splits: uPlot.Axis["splits"] = (_plot, _axis, low, high, step) => ticksOf(low, high, step);
  if (axis === "_step") return { space: 44, splits, values: (_plot, ticks, _axis, _space, step) => tickLabels(ticks, step) };
  const label = axis === "_runtime" ? clockLabel : wallLabel;
  return {
    space: 72,
    splits,
    incrs: [0.001, 0.01, 0.1, ...SECONDS, 1209600, 2592000, 7776000, 31536000],
    values: (_plot, ticks, _axis, _space, step) => ticks.map((tick) => label(tick, step)),
  };
}

/** An x value in the hover box and in tables. */
export function xLabel(axis: XAxis, value: number): string {
  if (axis === "_timestamp") return moment(value);
  if (axis === "_runtime") return clockLabel(value, value < 60 ? 0.1 : 1);
  return fullValue(Number.isInteger(value) ? value : Number(value.toPrecision(6)));
}

/** A zoom without false precision: whole steps, once there are more than a few of them. */
export function snapped([low, high]: Range, axis: XAxis): Range {
  return axis === "_step" && high - low > 20 ? [Math.round(low), Math.round(high)] : [low, high];
}
