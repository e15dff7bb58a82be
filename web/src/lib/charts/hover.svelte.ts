/** What is hovered, shared by all charts of a page and the list of runs beside them. */

export interface HoverTarget {
  setHoverLine(x: number | null): void;
  emphasise(run: string | null): void;
  mark(x: number | null): void;
}

export class Hover {
  /** The run that is emphasised. */
  run = $state.raw<string | null>(null);

  #targets = new Set<HoverTarget>();

  join(target: HoverTarget): () => void {
    this.#targets.add(target);
    if (this.run !== null) target.emphasise(this.run);
    return () => this.#targets.delete(target);
  }

  /** The pointer is in the chart `source`, at `x`, nearest to the line of `run`. */
  inChart(source: HoverTarget, x: number, run: string | null): void {
    this.run = run;
    for (const target of this.#targets) {
      target.emphasise(run);
      if (target === source) target.mark(x);
      else target.setHoverLine(x);
    }
  }

  /** The pointer is on a run of the list, or on none. */
  inList(run: string | null): void {
    this.run = run;
    for (const target of this.#targets) {
      target.setHoverLine(null);
      target.emphasise(run);
    }
  }

  clear(): void {
    this.inList(null);
  }
}
