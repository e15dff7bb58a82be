// @vitest-environment jsdom
import { flushSync, mount, unmount, type Component } from "svelte";
import { afterEach, expect, test } from "vitest";
import type { Run } from "../src/lib/api/types";
import { language } from "../src/lib/i18n/i18n.svelte";
import Cell from "../src/lib/runs/Cell.svelte";
import HoverBox from "../src/lib/charts/HoverBox.svelte";
import StateMark from "../src/lib/ui/StateMark.svelte";
import Tree from "../src/lib/ui/Tree.svelte";

let mounted: Record<string, unknown> | undefined;

function show<Props extends Record<string, unknown>>(component: Component<Props>, props: Props): HTMLElement {
  document.body.innerHTML = "<div></div>";
  const target = document.body.firstElementChild as HTMLElement;
  mounted = mount(component, { target, props }) as Record<string, unknown>;
  flushSync();
  return target;
}

afterEach(() => {
  if (mounted) void unmount(mounted);
  mounted = undefined;
  language.set("en");
});

test("a state has a shape and a name in the shown language", () => {
  const target = show(StateMark, { state: "crashed", named: true });
  expect(target.textContent?.trim()).toBe("crashed");
  expect(target.querySelector("path")?.getAttribute("d")).toBeTruthy();
  language.set("ja");
  flushSync();
  expect(target.textContent?.trim()).toBe("クラッシュ");
  expect(document.documentElement.lang).toBe("ja");
});

test("a tree shows values in four digits, in full on hover, and folds", () => {
  const target = show(Tree, { title: "Config", value: { lr: 0.123456, seed: 123456789, model: { depth: NaN } } });
  const value = [...target.querySelectorAll<HTMLElement>(".value")];
  expect(value.map((each) => each.textContent)).toEqual(["0.1235", "NaN", "123456789"]);
  expect(value[0]!.title).toBe("0.123456");
  target.querySelector<HTMLButtonElement>("[aria-expanded]")!.click();
  flushSync();
  expect(target.querySelectorAll(".value")).toHaveLength(2);
  const input = target.querySelector("input")!;
  input.value = "depth";
  input.dispatchEvent(new Event("input", { bubbles: true }));
  flushSync();
  expect([...target.querySelectorAll("li .leaf")].map((each) => each.textContent)).toEqual(["depth"]);
});

test("a cell says absent with a dash, and never a number that was not logged", () => {
  const run = { config: { none: null }, summary: { big: 2n ** 70n } } as unknown as Run;
  const column = (key: string) => ({ key, kind: "value" as const, label: key, numeric: true, width: "cell-num" });
  expect(show(Cell, { run, column: column("config.lr"), wide: true }).textContent).toBe("—");
  expect(show(Cell, { run, column: column("config.none"), wide: true }).textContent).toBe("None");
  const big = show(Cell, { run, column: column("summary.big"), wide: true });
  expect(big.querySelector("span")!.title).toBe("1180591620717411303424");
});

test("the hover box says how many points a mean is of, and how many lines it leaves out", () => {
  const line = { id: "r", run: "r", lane: 0, name: "amber-fox-1", color: 0, data: null as never };
  const reading = { line, value: 0.5, min: 0, max: 1, points: 37, nan: 2, pinf: 0, ninf: 0, xFirst: 0, xLast: 36 };
  const target = show(HoverBox, { heading: "step 0 – 36", beside: null, readout: { shown: [reading], more: 88 }, unit: "%", nearest: "r", clientX: 5, clientY: 5 });
  expect(target.textContent).toContain("mean of 37 points · 2 × NaN");
  expect(target.textContent).toContain("and 88 more");
  const box = target.querySelector<HTMLElement>(".box")!;
  expect(Number.parseFloat(box.style.left)).toBeGreaterThanOrEqual(5);
});
