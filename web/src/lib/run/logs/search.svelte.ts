/** A search through a run's console: the server looks through it piece by piece, the page collects the lines. */
import { ApiError, UnreachableError } from "../../api/client";
import { searchConsole, type ConsolePlace, type ConsoleWords } from "../../api/endpoints";

const LIMIT = 1000;
/** Matches that are collected. */
const MOST = 20_000;

export class LogSearch {
  /** Numbers of the lines that match, ascending. */
  matches = $state.raw<number[]>([]);
  /** The line of them that is shown. */
  current = $state<number | null>(null);
  /** Which of the matches that is; -1 for none. */
  readonly at = $derived(this.current === null ? -1 : this.matches.indexOf(this.current));
  running = $state(false);
  /** There are more matches than are collected. */
  more = $state(false);
  error = $state<string | null>(null);
  /** What is looked for; null for nothing. */
  words = $state.raw<ConsoleWords | null>(null);

  /** Lines before this number are searched. */
  searchedTo = 0;
  #controller: AbortController | null = null;
  #set = new Set<number>();

  constructor(
    readonly place: ConsolePlace,
    /** Told after each piece that was searched. */
    readonly progress: () => void,
  ) {}

  has(number: number): boolean {
    void this.matches;
    return this.#set.has(number);
  }

  /** Look for other words, from the beginning. */
  start(words: ConsoleWords | null): void {
    this.words = words;
    this.current = null;
    this.#cut(0);
    this.error = null;
    void this.#run();
  }

  /** The log has grown: lines from `stable` on are looked at again. */
  goOn(stable: number): void {
    if (!this.words || this.running || this.more || this.error) return;
    this.#cut(Math.min(stable, this.searchedTo));
    void this.#run();
  }

  /** Move to the next match or the one before, around the ends. */
  step(by: 1 | -1): number | null {
    const count = this.matches.length;
    if (count === 0) return null;
    const to = this.at < 0 ? (by > 0 ? 0 : count - 1) : (this.at + by + count) % count;
    return (this.current = this.matches[to]!);
  }

  /** Show the last match before line `end`, else the first one. */
  nearest(end: number): number | null {
    if (this.matches.length === 0) return null;
    let low = 0;
    let high = this.matches.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.matches[middle]! < end) low = middle + 1;
      else high = middle;
    }
    return (this.current = this.matches[Math.max(0, low - 1)]!);
  }

  close(): void {
    this.#controller?.abort();
  }

  #cut(to: number): void {
    this.#controller?.abort();
    this.searchedTo = to;
    this.more = false;
    this.matches = this.matches.filter((number) => number < to);
    this.#set = new Set(this.matches);
  }

  async #run(): Promise<void> {
    const { words } = this;
    this.running = words !== null;
    if (!words) return;
    const controller = (this.#controller = new AbortController());
    let from: number | null = this.searchedTo;
    try {
      while (from !== null) {
        const found: Awaited<ReturnType<typeof searchConsole>> = await searchConsole(this.place, words, from, LIMIT, controller.signal);
        if (controller.signal.aborted) return;
        if (found.matches.length > 0) {
          this.matches = [...this.matches, ...found.matches.map((line) => line.n)];
          for (const line of found.matches) this.#set.add(line.n);
        }
        from = found.next;
        this.searchedTo = from ?? Math.max(this.searchedTo, (found.matches.at(-1)?.n ?? -1) + 1);
        this.progress();
        if (this.matches.length >= MOST && from !== null) {
          this.more = true;
          break;
        }
      }
      if (from === null) this.searchedTo = Infinity;
    } catch (failure) {
      if (controller.signal.aborted) return;
      if (!(failure instanceof ApiError || failure instanceof UnreachableError)) throw failure;
      if (failure instanceof ApiError) this.error = failure.message;
    }
    this.running = false;
    this.progress();
  }
}
