/** Fetches the series of the panels near the screen: one request for all that lack data, and only what is new while live. */
import { SvelteMap } from "svelte/reactivity";
import { ApiError, UnreachableError } from "../api/client";
import { getSeries } from "../api/endpoints";
import type { Series } from "../api/series";
import type { Stream, XAxis } from "../api/types";
import type { Range } from "./lines";
import { joinTail } from "./tail";

interface Entry {
  series: Series[];
  /** Which axis and range the series answers. */
  stamp: string;
  /** The run has grown since. */
  dirty: boolean;
  /** When it was last read as a whole (ms). */
  readWhole: number;
}

interface Need {
  runs: string[];
  keys: string[];
  /** Where the new points begin; null reads the lines as a whole. */
  from: number | null;
}

export interface Selection {
  runs: string[];
  axis: XAxis;
  zoom: Range | null;
  buckets: number;
}

const BATCH_MS = 16;
const LIVE_MS = 400;
// An earlier step may be logged again; a line read whole now and then shows that too.
const WHOLE_EVERY_MS = 10_000;
const KEEP_KEYS = 48;

export class SeriesLoader {
  /** Grows for a metric whenever its data change. */
  readonly versions = new SvelteMap<string, number>();
  error = $state<string | null>(null);

  #entries = new Map<string, Map<string, Entry>>();
  #shown = new Set<string>();
  #selection: Selection = { runs: [], axis: "_step", zoom: null, buckets: 300 };
  #timer: ReturnType<typeof setTimeout> | undefined;
  #request: AbortController | null = null;
  #lastTail = 0;
  #closed = false;

  constructor(
    private readonly entity: string,
    private readonly project: string,
    /** What the training logged, or what was measured beside it. */
    private readonly stream: Stream = "default",
  ) {}

  select(selection: Selection): void {
    const before = this.#stamp;
    this.#selection = selection;
    if (before !== this.#stamp) this.#request?.abort();
    this.#schedule(0);
  }

  /** A panel has come near the screen. */
  show(key: string): void {
    this.#shown.add(key);
    this.#schedule(BATCH_MS);
  }

  /** A panel is far from the screen; its data are freed once many others are held. */
  hide(key: string): void {
    this.#shown.delete(key);
    if (this.#entries.size <= KEEP_KEYS) return;
    this.#entries.delete(key);
    this.versions.delete(key);
  }

  /** A run has grown. */
  touch(run: string): void {
    for (const runs of this.#entries.values()) {
      const entry = runs.get(run);
      if (entry) entry.dirty = true;
    }
    this.#schedule(BATCH_MS);
  }

  /** Anything may have changed. */
  refresh(): void {
    this.error = null;
    for (const runs of this.#entries.values()) {
      for (const entry of runs.values()) {
        entry.dirty = true;
        entry.readWhole = 0;
      }
    }
    this.#schedule(BATCH_MS);
  }

  series(key: string, run: string): Series[] {
    return this.#entries.get(key)?.get(run)?.series ?? [];
  }

  /** Whether the metric has been asked for all selected runs, in whatever range. */
  loaded(key: string): boolean {
    const runs = this.#entries.get(key);
    return runs !== undefined && this.#selection.runs.every((run) => runs.has(run));
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#request?.abort();
  }

  get #stamp(): string {
    const { axis, zoom } = this.#selection;
    return `${axis}|${zoom?.[0] ?? ""}|${zoom?.[1] ?? ""}`;
  }

  #schedule(delay: number): void {
    if (this.#closed || this.#timer !== undefined || this.#request) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#pump();
    }, delay);
  }

  async #pump(): Promise<void> {
    for (let need = this.#next(); need && !this.#closed; need = this.#next()) {
      if (need.from !== null) {
        const wait = this.#lastTail + LIVE_MS - performance.now();
        if (wait > 0) {
          this.#schedule(wait);
          return;
        }
        this.#lastTail = performance.now();
      }
      if (!(await this.#fetch(need))) return;
    }
  }

  /** Read what is needed; false where it is better to stop asking. */
  async #fetch(need: Need): Promise<boolean> {
    const { axis, zoom, buckets } = this.#selection;
    const stamp = this.#stamp;
    const request = (this.#request = new AbortController());
    // What grows while the answer is under way is dirty again afterwards.
    this.#mark(need, false);
    try {
      const query = {
        entity: this.entity,
        project: this.project,
        runs: need.runs,
        keys: need.keys,
        x: axis,
        min: need.from ?? zoom?.[0] ?? null,
        max: zoom?.[1] ?? null,
        buckets,
        stream: this.stream,
      };
      const answer = await getSeries(query, request.signal);
      this.#store(need, stamp, answer);
      this.error = null;
      return true;
    } catch (error) {
      this.#mark(need, true);
      if (request.signal.aborted) return !this.#closed;
      if (error instanceof ApiError) this.error = error.message;
      else if (!(error instanceof UnreachableError)) throw error;
      return false;
    } finally {
      this.#request = null;
    }
  }

  #mark({ keys, runs }: Need, dirty: boolean): void {
    for (const key of keys) {
      for (const run of runs) {
        const entry = this.#entries.get(key)?.get(run);
        if (entry) entry.dirty = dirty;
      }
    }
  }

  #next(): Need | null {
    const stamp = this.#stamp;
    const now = performance.now();
    const whole = { runs: new Set<string>(), keys: new Set<string>() };
    const tail = { runs: new Set<string>(), keys: new Set<string>() };
    let from = Infinity;
    for (const key of this.#shown) {
      const entries = this.#entries.get(key);
      for (const run of this.#selection.runs) {
        const entry = entries?.get(run);
        if (entry && entry.stamp === stamp && !entry.dirty) continue;
        if (entry && this.#growsAtItsEnd(entry, stamp, now)) {
          tail.runs.add(run);
          tail.keys.add(key);
          for (const { xLast, length } of entry.series) from = Math.min(from, xLast[length - 1]!);
        } else {
          whole.runs.add(run);
          whole.keys.add(key);
        }
      }
    }
    if (whole.keys.size > 0) return { runs: [...whole.runs], keys: [...whole.keys], from: null };
    if (tail.keys.size > 0) return { runs: [...tail.runs], keys: [...tail.keys], from };
    return null;
  }

  #growsAtItsEnd(entry: Entry, stamp: string, now: number): boolean {
    return (
      entry.stamp === stamp &&
      this.#selection.zoom === null &&
      entry.series.length > 0 &&
      now - entry.readWhole < WHOLE_EVERY_MS &&
      entry.series.every(({ length }) => length < 2 * this.#selection.buckets)
    );
  }

  #store(need: Need, stamp: string, answer: Series[]): void {
    const found = new Map<string, Series[]>();
    for (const series of answer) {
      const name = JSON.stringify([series.key, series.run]);
      const others = found.get(name);
      if (others) others.push(series);
      else found.set(name, [series]);
    }
    const now = performance.now();
    for (const key of need.keys) {
      const entries = this.#entries.get(key) ?? new Map<string, Entry>();
      this.#entries.set(key, entries);
      for (const run of need.runs) {
        const series = found.get(JSON.stringify([key, run])) ?? [];
        const known = entries.get(run);
        if (need.from === null || known?.stamp !== stamp) {
          if (need.from !== null) continue;
          entries.set(run, { series, stamp, dirty: false, readWhole: now });
        } else {
          grow(known, series);
        }
      }
      this.versions.set(key, (this.versions.get(key) ?? 0) + 1);
    }
  }
}

function grow(entry: Entry, tails: Series[]): void {
  const joined = new Map(entry.series.map((series) => [series.lane, series]));
  for (const tail of tails) {
    const known = joined.get(tail.lane);
    const whole = known ? joinTail(known, tail) : null;
    if (!whole) {
      entry.dirty = true;
      entry.readWhole = -Infinity;
      return;
    }
    joined.set(tail.lane, whole);
  }
  entry.series = [...joined.values()];
}
