/** Tokens as values for what cannot use CSS: canvas drawing and measured layout. */

// Asking for a computed style in the middle of drawing makes the browser lay out the page each time.
const measured = new Map<string, number>();
let measuredAt = 0;

/** A length token in CSS pixels, or a plain number token; they change with the width of the window only. */
export function measure(name: string): number {
  if (measuredAt !== innerWidth) measured.clear();
  measuredAt = innerWidth;
  let value = measured.get(name);
  if (value === undefined) {
    value = Number.parseFloat(getComputedStyle(document.documentElement).getPropertyValue(`--${name}`)) || 0;
    measured.set(name, value);
  }
  return value;
}

/** Colour tokens as canvas understands them, in the theme that is shown now. */
export function colors<Name extends string>(names: readonly Name[]): Record<Name, string> {
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  const out = {} as Record<Name, string>;
  for (const name of names) {
    probe.style.color = `var(--${name})`;
    out[name] = getComputedStyle(probe).color;
  }
  probe.remove();
  return out;
}

export const RUN_COLORS = 20;

/** The palette token of the run that is number `place` of its project. */
export function runColorToken(place: number): string {
  return `run-${((place % RUN_COLORS) + RUN_COLORS) % RUN_COLORS}`;
}

export function runColor(place: number): string {
  return `var(--${runColorToken(place)})`;
}
