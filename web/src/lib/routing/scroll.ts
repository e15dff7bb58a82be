/** Keeps the scroll position of a scrolling element per entry of the browser's history, so that back restores it. */
import { router } from "./router.svelte";

const positions = new Map<string, [left: number, top: number]>();

/** Svelte action: remember this element's scroll under `name`, and restore it once the content is tall enough. */
export function rememberScroll(element: HTMLElement, name: string): { destroy(): void } {
  const key = `${router.entry}/${name}`;
  const wanted = positions.get(key);
  let restoring = wanted !== undefined && (wanted[0] > 0 || wanted[1] > 0);
  const observer = new ResizeObserver(restore);

  function restore(): void {
    if (!restoring || !wanted) return;
    element.scrollTo(wanted[0], wanted[1]);
    if (Math.abs(element.scrollTop - wanted[1]) < 1) stopRestoring();
  }
  function stopRestoring(): void {
    restoring = false;
    observer.disconnect();
  }
  function note(): void {
    if (!restoring) positions.set(key, [element.scrollLeft, element.scrollTop]);
  }
  if (restoring) {
    for (const child of element.children) observer.observe(child);
    requestAnimationFrame(restore);
    setTimeout(stopRestoring, 3000);
  }
  element.addEventListener("scroll", note, { passive: true });
  element.addEventListener("wheel", stopRestoring, { passive: true });
  return {
    destroy() {
      stopRestoring();
      element.removeEventListener("scroll", note);
      element.removeEventListener("wheel", stopRestoring);
    },
  };
}
