/** Steps a second of a live run, from what the page has seen of it in the last seconds. */
const WINDOW_SECONDS = 15;

export class Pace {
  #seen: { step: number; at: number }[] = [];

  /** Note the last step, seen at `at` (seconds of any steady clock); the pace, or null before there is one. */
  see(step: number | null, at: number): number | null {
    if (step === null) return null;
    const newest = this.#seen[this.#seen.length - 1];
    if (!newest || newest.step !== step) this.#seen.push({ step, at });
    while (this.#seen.length > 2 && at - this.#seen[0]!.at > WINDOW_SECONDS) this.#seen.shift();
    const [oldest] = this.#seen;
    const last = this.#seen[this.#seen.length - 1]!;
    if (last.at - oldest!.at < 1 || at - last.at > WINDOW_SECONDS) return null;
    return (last.step - oldest!.step) / (last.at - oldest!.at);
  }
}
