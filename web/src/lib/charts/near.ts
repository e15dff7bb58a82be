/** Svelte action: says whether an element is near the screen, so that only such panels load and draw. */
const MARGIN = "400px 0px";

export function near(element: HTMLElement, change: (isNear: boolean) => void): { destroy(): void } {
  const observer = new IntersectionObserver((entries) => change(entries[entries.length - 1]!.isIntersecting), {
    root: element.closest("[data-scroller]"),
    rootMargin: MARGIN,
  });
  observer.observe(element);
  return { destroy: () => observer.disconnect() };
}
