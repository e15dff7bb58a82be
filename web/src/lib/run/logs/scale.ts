/** Scrolling through more lines than a browser can lay out: a long log on a short scroll bar.
 *
 * `y` is a place in the log, `top` the scroll position that stands for it, both in CSS pixels. Near both ends one is
 * as long as the other, so that each line there can be reached; in between, the bar is compressed.
 */

/** Browsers lay out at most 16 to 33 million pixels. */
const MAX_HEIGHT = 8_000_000;
const EDGE = 200_000;

export class Scale {
  readonly #y: number;
  readonly #top: number;

  /** A log of `full` pixels seen through a window of `view`; `most` is what may be laid out. */
  constructor(
    readonly full: number,
    readonly view: number,
    most = MAX_HEIGHT,
    readonly edge = EDGE,
  ) {
    this.height = Math.min(full, most);
    this.#y = Math.max(0, full - view);
    this.#top = Math.max(0, this.height - view);
  }

  /** What is laid out. */
  readonly height: number;

  /** The last place: the end of the log at the bottom of the window. */
  get end(): number {
    return this.#y;
  }

  get compressed(): boolean {
    return this.#y > this.#top;
  }

  /** The scroll position that stands for a place. */
  topOf(y: number): number {
    const place = Math.min(Math.max(y, 0), this.#y);
    if (!this.compressed || place <= this.edge) return place;
    if (this.#y - place <= this.edge) return this.#top - (this.#y - place);
    return this.edge + ((place - this.edge) * (this.#top - 2 * this.edge)) / (this.#y - 2 * this.edge);
  }

  /** The place that a scroll position stands for. */
  placeOf(top: number): number {
    const at = Math.min(Math.max(top, 0), this.#top);
    if (!this.compressed || at <= this.edge) return at;
    if (this.#top - at <= this.edge) return this.#y - (this.#top - at);
    return this.edge + ((at - this.edge) * (this.#y - 2 * this.edge)) / (this.#top - 2 * this.edge);
  }

  /** The place after the position went from `before` to `top`: a small step moves as far in the log, a leap by the bar. */
  moved(y: number, before: number, top: number): number {
    if (!this.compressed) return this.placeOf(top);
    const step = top - before;
    return Math.abs(step) <= 2 * this.view ? Math.min(Math.max(y + step, 0), this.#y) : this.placeOf(top);
  }
}
