/** Times and durations as people read them, and a clock that the page can follow. */
import { language } from "../i18n/i18n.svelte";
import { ABSENT } from "./value";

class Clock {
  /** Unix seconds, ticking once a second while the tab is shown. */
  now = $state(Date.now() / 1000);

  constructor() {
    setInterval(() => {
      if (!document.hidden) this.now = Date.now() / 1000;
    }, 1000);
    document.addEventListener("visibilitychange", () => (this.now = Date.now() / 1000));
  }
}

export const clock = new Clock();

/** Seconds as `h:mm:ss`, with days in front when there are any; below ten seconds with one decimal. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return ABSENT;
  if (seconds < 9.95) return `${Math.max(0, seconds).toFixed(1)} s`;
  const whole = Math.floor(seconds);
  const two = (value: number): string => String(value).padStart(2, "0");
  const clockPart = `${Math.floor((whole % 86400) / 3600)}:${two(Math.floor((whole % 3600) / 60))}:${two(whole % 60)}`;
  const days = Math.floor(whole / 86400);
  return days > 0 ? `${days} d ${clockPart}` : clockPart;
}

const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["second", 60],
  ["minute", 3600],
  ["hour", 86400],
  ["day", 86400 * 30],
  ["month", 86400 * 365],
  ["year", Infinity],
];
const SIZES: Record<string, number> = { second: 1, minute: 60, hour: 3600, day: 86400, month: 2592000, year: 31536000 };

/** How long ago a unix time was, in words of the shown language. */
export function ago(time: number | null | undefined): string {
  if (time === null || time === undefined) return ABSENT;
  const format = new Intl.RelativeTimeFormat(language.current, { numeric: "auto", style: "narrow" });
  const passed = Math.max(0, clock.now - time);
  // Seconds would make the list flicker: below a minute it is "now".
  if (passed < 60) return format.format(0, "second");
  const [unit] = STEPS.find(([, below]) => passed < below)!;
  return format.format(-Math.floor(passed / SIZES[unit]!), unit);
}

/** A unix time as date and time of day, to the second. */
export function moment(time: number | null | undefined): string {
  if (time === null || time === undefined) return ABSENT;
  return new Intl.DateTimeFormat(language.current, { dateStyle: "medium", timeStyle: "medium" }).format(time * 1000);
}
