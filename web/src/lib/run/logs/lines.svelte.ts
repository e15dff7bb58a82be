/** The lines of a run's console as the page holds them: the end at once, the rest where it is looked at. */
import { ApiError, UnreachableError } from "../../api/client";
import { getConsole, type ConsolePlace } from "../../api/endpoints";
import type { ConsoleLane, ConsoleLine, ConsolePage } from "../../api/types";

const PAGE = 500;
/** Lines that are asked for when the run goes on: more than can still change. */
const TAIL = 250;
const KEPT = 20_000;

export class LogLines {
  total = $state(0);
  live = $state(false);
  lanes = $state.raw<ConsoleLane[]>([]);
  /** Whether the first answer is here. */
  ready = $state(false);
  error = $state<string | null>(null);
  /** Lines before this number change no more. */
  stable = 0;

  /** Grows when lines came. */
  #version = $state(0);
  #lines = new Map<number, ConsoleLine>();
  /** Lines that are shown as they were, until the server says what they are now. */
  #stale = new Set<number>();
  #asked = new Map<number, AbortController>();
  #order = 0;
  #applied = 0;
  #refreshing = false;
  #again = false;
  #closed = false;

  constructor(readonly place: ConsolePlace) {}

  line(number: number): ConsoleLine | undefined {
    void this.#version;
    return this.#lines.get(number);
  }

  /** Ask for the end, and how far the log goes. Returns whether an answer came. */
  async refresh(): Promise<boolean> {
    if (this.#refreshing) {
      this.#again = true;
      return false;
    }
    this.#refreshing = true;
    let answered = false;
    do {
      this.#again = false;
      answered = await this.#ask(this.ready ? -TAIL : -PAGE, PAGE);
    } while (this.#again && !this.#closed);
    this.#refreshing = false;
    return answered;
  }

  /** Have the lines from `first` on and before `end`; what is far from them is let go of. */
  reach(first: number, end: number): void {
    const wanted = new Set<number>();
    for (let number = Math.max(0, first); number < Math.min(end, this.total); number++) {
      if (!this.#lines.has(number) || this.#stale.has(number)) wanted.add(Math.floor(number / PAGE));
    }
    for (const [page, controller] of this.#asked) {
      if (wanted.has(page)) continue;
      controller.abort();
      this.#asked.delete(page);
    }
    for (const page of wanted) {
      if (this.#asked.has(page)) continue;
      const controller = new AbortController();
      this.#asked.set(page, controller);
      void this.#ask(page * PAGE, PAGE, controller.signal).finally(() => {
        if (this.#asked.get(page) === controller) this.#asked.delete(page);
      });
    }
    if (this.#lines.size > KEPT) this.#forgetFarFrom((first + end) / 2);
  }

  close(): void {
    this.#closed = true;
    for (const controller of this.#asked.values()) controller.abort();
    this.#asked.clear();
  }

  async #ask(from: number, limit: number, signal?: AbortSignal): Promise<boolean> {
    const order = ++this.#order;
    try {
      const page = await getConsole(this.place, from, limit, signal);
      if (this.#closed) return false;
      this.#take(page, order);
      this.error = null;
      return true;
    } catch (failure) {
      if (signal?.aborted || failure instanceof UnreachableError) return false;
      if (!(failure instanceof ApiError)) throw failure;
      this.error = failure.message;
      return false;
    }
  }

  #take(page: ConsolePage, order: number): void {
    if (order > this.#applied) {
      this.#applied = order;
      for (const number of this.#lines.keys()) if (number >= this.stable) this.#stale.add(number);
      this.total = page.total;
      this.stable = page.stable;
      this.live = page.live;
      if (JSON.stringify(this.lanes) !== JSON.stringify(page.lanes)) this.lanes = page.lanes;
      this.ready = true;
      for (const number of this.#stale) {
        if (number < page.total) continue;
        this.#lines.delete(number);
        this.#stale.delete(number);
      }
    }
    for (const line of page.lines) {
      const known = this.#lines.get(line.n);
      // The same line stays the same object: what is drawn of it, and a selection in it, are left alone.
      if (known?.text !== line.text || known.time !== line.time || known.stream !== line.stream) this.#lines.set(line.n, line);
      if (order >= this.#applied || line.n < page.stable) this.#stale.delete(line.n);
    }
    this.#version++;
  }

  #forgetFarFrom(middle: number): void {
    for (const number of this.#lines.keys()) {
      if (Math.abs(number - middle) <= KEPT / 4) continue;
      this.#lines.delete(number);
      this.#stale.delete(number);
    }
  }
}
