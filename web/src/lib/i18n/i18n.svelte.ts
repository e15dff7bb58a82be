/** The shown language, and the lookup of a text in it. */
import { messages, type MessageKey } from "./messages";

export type Language = "en" | "ja";
export type Values = Record<string, string | number>;

const STORED = "kiseki.language";

function initial(): Language {
  const value = localStorage.getItem(STORED);
  if (value === "en" || value === "ja") return value;
  return navigator.language.startsWith("ja") ? "ja" : "en";
}

class LanguageChoice {
  current = $state<Language>(initial());

  set(language: Language): void {
    localStorage.setItem(STORED, language);
    this.current = language;
    document.documentElement.lang = language;
  }
}

export const language = new LanguageChoice();
document.documentElement.lang = language.current;

/** Fill `{name}` and `{count|one|many}` of a pattern. */
export function fill(pattern: string, values: Values, locale: Language): string {
  return pattern.replace(/\{(\w+)(?:\|([^|}]*)\|([^|}]*))?\}/g, (_all, name: string, one?: string, many?: string) => {
    const value = values[name];
    if (one !== undefined) return (value === 1 ? one : many) ?? "";
    return typeof value === "number" ? value.toLocaleString(locale) : (value ?? "");
  });
}

/** The text `key` in the shown language. */
export function t(key: MessageKey, values: Values = {}): string {
  return fill(messages[key][language.current], values, language.current);
}
