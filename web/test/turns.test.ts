import { expect, test } from "vitest";
import { drawInTurn, leaveTurn } from "../src/lib/charts/turns";

let frames: (() => void)[] = [];
globalThis.requestAnimationFrame = (callback) => frames.push(() => callback(0));
function nextFrame(): void {
  const now = frames;
  frames = [];
  for (const run of now) run();
}

test("large charts are drawn in frames of their own, small ones together, and each once", () => {
  const drawn: string[] = [];
  const [large, small, smaller, gone] = [{}, {}, {}, {}];
  drawInTurn(large, 100_000, () => drawn.push("large, outdated"));
  drawInTurn(small, 10, () => drawn.push("small"));
  drawInTurn(smaller, 10, () => drawn.push("smaller"));
  drawInTurn(gone, 10, () => drawn.push("gone"));
  drawInTurn(large, 100_000, () => drawn.push("large"));
  leaveTurn(gone);
  nextFrame();
  expect(drawn).toEqual(["large"]);
  nextFrame();
  expect(drawn).toEqual(["large", "small", "smaller"]);
  expect(frames).toEqual([]);
});
