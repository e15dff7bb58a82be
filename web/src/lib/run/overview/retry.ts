/** Files of a run arrive some time after the run says that they exist: look again until they are there. */

const FIRST_MS = 1000;
const LAST_MS = 60_000;

/** Call `look` now, and again after growing pauses until it says that it found something. Returns the way to stop. */
export function untilFound(look: () => Promise<boolean>): () => void {
  let pause = FIRST_MS;
  let stopped = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const next = async (): Promise<void> => {
    const found = !document.hidden && (await look());
    if (found || stopped) return;
    timer = setTimeout(() => void next(), pause);
    pause = Math.min(LAST_MS, pause * 2);
  };
  void next();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
