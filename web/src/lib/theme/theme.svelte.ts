/** Light or dark, and how much room there is; both are attributes of the root element that the styles read. */
export type Theme = "system" | "light" | "dark";
export type Layout = "wide" | "medium" | "narrow";

const STORED = "kiseki.theme";
const root = document.documentElement;

function stored(): Theme {
  const value = localStorage.getItem(STORED);
  return value === "light" || value === "dark" ? value : "system";
}

function readLayout(): Layout {
  return (getComputedStyle(root).getPropertyValue("--layout").trim() || "wide") as Layout;
}

class Appearance {
  theme = $state<Theme>("system");
  systemDark = $state(false);
  layout = $state<Layout>("wide");
  readonly dark = $derived(this.theme === "dark" || (this.theme === "system" && this.systemDark));

  start(): void {
    this.#apply(stored());
    const query = matchMedia("(prefers-color-scheme: dark)");
    this.systemDark = query.matches;
    query.addEventListener("change", () => (this.systemDark = query.matches));
    this.#measure();
    addEventListener("resize", () => this.#measure());
  }

  /** Light becomes dark and back; what the system wants anyway is left to it. */
  toggle(): void {
    const next: Theme = this.dark ? "light" : "dark";
    this.set((next === "dark") === this.systemDark ? "system" : next);
  }

  set(theme: Theme): void {
    if (theme === "system") localStorage.removeItem(STORED);
    else localStorage.setItem(STORED, theme);
    this.#apply(theme);
  }

  #apply(theme: Theme): void {
    this.theme = theme;
    if (theme === "system") delete root.dataset.theme;
    else root.dataset.theme = theme;
  }

  #measure(): void {
    this.layout = readLayout();
    root.dataset.layout = this.layout;
  }
}

export const appearance = new Appearance();
