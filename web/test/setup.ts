/** What jsdom lacks and the app's modules expect at import. */
if (typeof document !== "undefined") document.head.innerHTML = '<base href="http://localhost:3000/" />';
globalThis.ResizeObserver ??= class {
  observe(): void {}
  unobserve(): void {}
  disconnect(): void {}
};
