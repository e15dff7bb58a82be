/** The runs of a project under one filter and order: pages loaded as the list reaches them, kept fresh while live. */
import { ApiError, UnreachableError } from "../api/client";
import { countRuns, getRun, listRuns, type RunsQuery } from "../api/endpoints";
import type { Column, Run } from "../api/types";

export const PAGE = 100;
const LIVE_MS = 500;
const ORDER_EVERY_MS = 5000;
const FEW = 8;

export class RunsList {
  /** Rows by their place in the order; a hole is a row not loaded yet. */
  rows = $state.raw<(Run | undefined)[]>([]);
  columns = $state.raw<Column[]>([]);
  /** Number of runs under the filter; null until known. */
  total = $state<number | null>(null);
  error = $state<string | null>(null);
  missing = $state(false);
  /** Grows when rows have been read in order, not when one of them has been refreshed in place. */
  orders = $state(0);

  #query: RunsQuery | null = null;
  #request = new AbortController();
  #loading = new Set<number>();
  #dirty = new Set<string>();
  /** Runs that grow, but are not under this filter. */
  #strangers = new Set<string>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #lastLive = 0;
  #lastOrder = 0;
  #closed = false;

  /** Show the runs of this query; the rows of the one before stay until the new ones are there. */
  select(query: RunsQuery): void {
    this.#query = query;
    this.#request.abort();
    this.#request = new AbortController();
    this.#loading.clear();
    this.#strangers.clear();
    void this.#readFirst();
  }

  /** The list shows the rows from `first` to before `end`. */
  reach(first: number, end: number): void {
    for (let page = Math.floor(first / PAGE); page * PAGE < end; page++) {
      const start = page * PAGE;
      const stop = Math.min(start + PAGE, this.rows.length);
      let whole = true;
      for (let i = start; i < stop && whole; i++) whole = this.rows[i] !== undefined;
      if (!whole && !this.#loading.has(page)) void this.#readPage(page);
    }
  }

  /** A run has grown. */
  touch(run: string): void {
    this.#dirty.add(run);
    this.#schedule();
  }

  /** Anything may have changed. */
  refresh(): void {
    if (this.#query) void this.#readFirst();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#request.abort();
  }

  async #readFirst(): Promise<void> {
    const query = this.#query!;
    const { signal } = this.#request;
    await this.#guard(signal, async () => {
      const [first, total] = await Promise.all([listRuns(query, PAGE, 0, signal), countRuns(query, signal)]);
      const pages = Math.min(Math.ceil(this.#loadedEnd() / PAGE), Math.ceil(total / PAGE));
      const rest = await Promise.all(
        Array.from({ length: Math.max(0, pages - 1) }, (_, i) => listRuns(query, PAGE, (i + 1) * PAGE, signal)),
      );
      const runs = [first, ...rest].flatMap((page) => page.runs);
      const rows = new Array<Run | undefined>(Math.max(total, runs.length));
      runs.forEach((run, i) => (rows[i] = run));
      this.rows = rows;
      this.columns = first.columns;
      this.total = total;
      this.missing = false;
      this.#lastOrder = performance.now();
      this.orders++;
    });
  }

  async #readPage(page: number): Promise<void> {
    const query = this.#query!;
    const { signal } = this.#request;
    this.#loading.add(page);
    await this.#guard(signal, async () => {
      const { runs } = await listRuns(query, PAGE, page * PAGE, signal);
      const rows = [...this.rows];
      runs.forEach((run, i) => (rows[page * PAGE + i] = run));
      this.rows = rows;
    });
    this.#loading.delete(page);
  }

  async #guard(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.error = null;
    } catch (error) {
      if (signal.aborted || error instanceof UnreachableError) return;
      if (!(error instanceof ApiError)) throw error;
      this.missing = error.status === 404;
      this.error = error.message;
    }
  }

  #loadedEnd(): number {
    let end = this.rows.length;
    while (end > PAGE && this.rows[end - 1] === undefined) end--;
    return end;
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#closed) return;
    const wait = Math.max(0, this.#lastLive + LIVE_MS - performance.now());
    this.#timer = setTimeout(() => void this.#readDirty(), wait);
  }

  async #readDirty(): Promise<void> {
    const query = this.#query;
    const { signal } = this.#request;
    const dirty = [...this.#dirty];
    this.#dirty.clear();
    if (query) {
      const known = new Set(this.rows.map((run) => run?.id));
      const shown = dirty.filter((id) => known.has(id));
      const news = dirty.some((id) => !known.has(id) && !this.#strangers.has(id));
      // In place while they are few; the order is looked at again now and then, and at once for a new run.
      if (news || shown.length > FEW || performance.now() - this.#lastOrder > ORDER_EVERY_MS) {
        await this.#readFirst();
        const now = new Set(this.rows.map((run) => run?.id));
        this.#strangers = new Set(dirty.filter((id) => !now.has(id)));
      } else {
        await this.#readInPlace(query, shown, signal);
      }
    }
    this.#lastLive = performance.now();
    this.#timer = undefined;
    if (this.#dirty.size > 0) this.#schedule();
  }

  async #readInPlace({ entity, project }: RunsQuery, ids: string[], signal: AbortSignal): Promise<void> {
    await this.#guard(signal, async () => {
      const fresh = await Promise.all(ids.map((id) => getRun(entity, project, id)));
      const byId = new Map(fresh.map((run) => [run.id, run]));
      if (!signal.aborted) this.rows = this.rows.map((run) => (run && byId.get(run.id)) ?? run);
    });
  }
}
