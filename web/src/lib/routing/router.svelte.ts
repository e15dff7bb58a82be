/** Where the user is: the address under `<base href>` as a typed route, kept in step with the browser's history. */
export type ProjectView = "workspace" | "runs" | "settings";

export type Route =
  | { page: "projects" }
  | { page: "settings" }
  | { page: "project"; entity: string; project: string; view: ProjectView }
  | { page: "run"; entity: string; project: string; run: string; tab: string }
  | { page: "unknown" };

/** Read a route from an address; `base` is the path of `<base href>`, with its slash at the end. */
export function parseRoute(url: URL, base: string): Route {
  if (!url.pathname.startsWith(base) && `${url.pathname}/` !== base) return { page: "unknown" };
  const parts = url.pathname
    .slice(base.length)
    .split("/")
    .filter(Boolean)
    .map(unescaped);
  const [entity, project, runs, run] = parts;
  if (parts.length === 0) return { page: "projects" };
  if (parts.length === 1 && entity === "settings") return { page: "settings" };
  if (parts.length === 2) {
    const asked = url.searchParams.get("view");
    const view = asked === "runs" || asked === "settings" ? asked : "workspace";
    return { page: "project", entity: entity!, project: project!, view };
  }
  if (parts.length === 4 && runs === "runs") {
    return { page: "run", entity: entity!, project: project!, run: run!, tab: url.searchParams.get("tab") ?? "overview" };
  }
  return { page: "unknown" };
}

const basePath = (): string => new URL(document.baseURI).pathname.replace(/[^/]*$/, "");
const part = encodeURIComponent;

export const links = {
  projects: (): string => basePath(),
  settings: (): string => `${basePath()}settings`,
  projectSettings: (entity: string, project: string): string => `${links.project(entity, project)}?view=settings`,
  project: (entity: string, project: string): string => `${basePath()}${part(entity)}/${part(project)}`,
  run: (entity: string, project: string, run: string, tab = "overview"): string =>
    `${links.project(entity, project)}/runs/${part(run)}${tab === "overview" ? "" : `?tab=${part(tab)}`}`,
};

/** A list as one parameter of the address; its items may hold anything. */
export function joinParam(items: Iterable<string>): string {
  return [...items].map((item) => item.replace(/[%,]/g, part)).join(",");
}

export function splitParam(text: string | null): string[] {
  return (text ?? "").split(",").filter(Boolean).map(unescaped);
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

interface EntryState {
  entry?: string;
}

class Router {
  url = $state.raw(new URL(location.href));
  readonly route = $derived(parseRoute(this.url, basePath()));

  #lastParams = new Map<string, string>();

  constructor() {
    history.scrollRestoration = "manual";
    if (!(history.state as EntryState | null)?.entry) history.replaceState(this.#newEntry(), "");
    this.#arrive();
    addEventListener("popstate", () => this.#arrive());
    document.addEventListener("click", (event) => this.#followLink(event));
  }

  /** Names the entry of the browser's history that is shown, so that what belongs to it can be found again. */
  get entry(): string {
    return (history.state as EntryState | null)?.entry ?? "";
  }

  /** The address of a project's view with the filter, order, eyes and range that it was last seen with. */
  projectView(entity: string, project: string, view: "workspace" | "runs"): string {
    const params = new URLSearchParams(this.#lastParams.get(`${entity}/${project}`));
    if (view === "runs") params.set("view", "runs");
    else params.delete("view");
    const query = params.toString();
    return links.project(entity, project) + (query ? `?${query}` : "");
  }

  param(name: string): string | null {
    return this.url.searchParams.get(name);
  }

  go(href: string): void {
    history.pushState(this.#newEntry(), "", href);
    this.#arrive();
  }

  /** Change parameters of the address in place; null removes one. */
  setParams(changes: Record<string, string | null>): void {
    const url = new URL(location.href);
    for (const [name, value] of Object.entries(changes)) {
      if (value === null || value === "") url.searchParams.delete(name);
      else url.searchParams.set(name, value);
    }
    if (url.href === this.url.href) return;
    history.replaceState(history.state, "", url);
    this.#arrive();
  }

  #arrive(): void {
    this.url = new URL(location.href);
    const route = parseRoute(this.url, basePath());
    if (route.page === "project" && route.view !== "settings") {
      this.#lastParams.set(`${route.entity}/${route.project}`, this.url.search);
    }
  }

  #newEntry(): EntryState {
    return { entry: Math.random().toString(36).slice(2, 10) };
  }

  #followLink(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
      return;
    const anchor = (event.target as Element).closest("a");
    if (!anchor || anchor.target || anchor.hasAttribute("download")) return;
    const url = new URL(anchor.href);
    if (url.origin !== location.origin || parseRoute(url, basePath()).page === "unknown") return;
    event.preventDefault();
    if (url.href !== location.href) this.go(url.href);
  }
}

export const router = new Router();
