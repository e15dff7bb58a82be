/** What a server or project lets its runs record unasked, as the rows of its page. */
import type { ChangedSettings, RecordingSettings } from "../api/types";

/** In the order of the page. */
export const SWITCHES = ["save_code", "git", "diff", "requirements", "console"] as const;
export type SwitchName = (typeof SWITCHES)[number];
export type ChoiceName = SwitchName | "system_interval";
export type SwitchValue = "inherit" | "on" | "off";

export const MIN_INTERVAL = 1;
export const MAX_INTERVAL = 3600;
const DEFAULT_INTERVAL = 10;

/** What applies where the page's own place chooses nothing, and who says so. */
export function inherited(settings: RecordingSettings, name: ChoiceName): { value: boolean | number; source: "server" | "default" } {
  const value = settings.server[name];
  if (value !== null && value !== undefined) return { value, source: "server" };
  return { value: name === "system_interval" ? DEFAULT_INTERVAL : true, source: "default" };
}

/** How a switch stands; a server has nothing to inherit from but the default. */
export function switchValue(settings: RecordingSettings, name: SwitchName, ofProject: boolean): SwitchValue {
  const own = settings.own[name];
  if (own === null || own === undefined) return ofProject ? "inherit" : "on";
  return own ? "on" : "off";
}

/** The change that brings a switch to `value`; a server that turns one on goes back to the default. */
export function switchChange(name: SwitchName, value: SwitchValue, ofProject: boolean): ChangedSettings {
  if (value === "inherit" || (value === "on" && !ofProject)) return { [name]: null };
  return { [name]: value === "on" };
}

export type IntervalMode = "inherit" | "off" | "every";

export function intervalMode(settings: RecordingSettings, ofProject: boolean): IntervalMode {
  const own = settings.own.system_interval;
  if (own === null || own === undefined) return ofProject ? "inherit" : "every";
  return own === 0 ? "off" : "every";
}

/** Seconds to start from where a place begins to choose for itself. */
export function intervalSeconds(settings: RecordingSettings): number {
  return settings.own.system_interval || Number(inherited(settings, "system_interval").value) || DEFAULT_INTERVAL;
}

/** Read what somebody typed; null for what is no number of seconds that the server takes. */
export function readInterval(text: string): number | null {
  const seconds = Number(text.trim().replace(",", "."));
  return text.trim() !== "" && seconds >= MIN_INTERVAL && seconds <= MAX_INTERVAL ? seconds : null;
}
