// @vitest-environment jsdom
import { expect, test } from "vitest";
import { axisParams, readAxis, readZoom, zoomParams } from "../src/lib/charts/address";
import { snapped } from "../src/lib/charts/axis";
import { endLabels } from "../src/lib/charts/labels";
import { panelName, searchSections, sectionsOf } from "../src/lib/charts/sections";
import { Hub, type FromHub } from "../src/lib/live/hub";
import { takeEvents } from "../src/lib/live/stream";
import { firstLines } from "../src/lib/projects/first-lines";
import { parseRoute } from "../src/lib/routing/router.svelte";
import { Pace } from "../src/lib/run/pace";
import { copyText, treeRows } from "../src/lib/ui/tree";

test.each([
  ["http://h/", "/", { page: "projects" }],
  ["http://h/acme/digits", "/", { page: "project", entity: "acme", project: "digits", view: "workspace" }],
  ["http://h/acme/digits?view=runs", "/", { page: "project", entity: "acme", project: "digits", view: "runs" }],
  ["http://h/a/b/runs/x%2Fy?tab=charts", "/", { page: "run", entity: "a", project: "b", run: "x/y", tab: "charts" }],
  ["http://h/lab/kiseki/a/b", "/lab/kiseki/", { page: "project", entity: "a", project: "b", view: "workspace" }],
  ["http://h/lab/kiseki", "/lab/kiseki/", { page: "projects" }],
  ["http://h/a/b/c", "/", { page: "unknown" }],
  ["http://h/elsewhere/a", "/lab/", { page: "unknown" }],
])("%s below %s", (address, base, route) => {
  expect(parseRoute(new URL(address), base)).toEqual(route);
});

test("metrics are put in sections by the part before the slash", () => {
  const sections = sectionsOf(["val/loss", "loss", "train/layer10", "train/layer2", "system/cpu"], "metrics");
  expect(sections.map(({ name, title, charts }) => [name, title, charts.map(({ id }) => id)])).toEqual([
    ["", "metrics", ["loss"]],
    ["train", "train", ["train/layer2", "train/layer10"]],
    ["val", "val", ["val/loss"]],
    ["system", "system", ["system/cpu"]],
  ]);
  expect(sections[1]!.charts[0]).toEqual({ id: "train/layer2", title: "layer2", name: "train/layer2", keys: ["train/layer2"] });
  expect(panelName("train/a/b")).toBe("a/b");
  expect(panelName("/odd")).toBe("/odd");
  expect(panelName("train/")).toBe("train/");
});

test("charts are searched by regular expression, and by text where it is none", () => {
  const found = (keys: string[], search: string): string[] =>
    searchSections(sectionsOf(keys, ""), search).flatMap(({ charts }) => charts.map(({ id }) => id));
  expect(found(["a/loss", "b/acc", "c/x"], "^a/|ACC$")).toEqual(["a/loss", "b/acc"]);
  expect(found(["f(x)", "g"], "f(")).toEqual(["f(x)"]);
  expect(searchSections(sectionsOf(["a/b"], ""), "z")).toEqual([]);
});

test("zoom and axis are kept in the address", () => {
  expect(readZoom(zoomParams([0.1, 2500.5]).range)).toEqual([0.1, 2500.5]);
  expect(readZoom(zoomParams([1790000000.123, 1790000100.456]).range)).toEqual([1790000000.12, 1790000100.46]);
  for (const odd of [null, "", "5", "a..b", "9..3", "1..", ".."]) expect(readZoom(odd)).toBeNull();
  expect(readAxis(axisParams("_runtime").x)).toBe("_runtime");
  expect(readAxis("nonsense")).toBe("_step");
});

test("events are taken from a stream in whatever pieces it comes", () => {
  const text = ': hello\n\nevent: run\ndata: {"entity":"e","project":"p","run":"r","at":3}\n\n:\n\n';
  const seen: number[] = [];
  let rest = "";
  for (const piece of text) {
    const taken = takeEvents(rest + piece);
    rest = taken.rest;
    seen.push(...taken.events.map((event) => event.at));
  }
  expect(seen).toEqual([3]);
});

test("tabs that want different projects share one stream of all, and hear only their own", async () => {
  const asked: string[] = [];
  let push: (text: string) => void = () => undefined;
  globalThis.fetch = (url) => {
    asked.push(String(url));
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        push = (text) => controller.enqueue(new TextEncoder().encode(text));
      },
    });
    return Promise.resolve(new Response(body));
  };
  const hub = new Hub();
  const heard: Record<string, FromHub[]> = { a: [], b: [] };
  const [tabA, tabB] = [(message: FromHub) => heard.a!.push(message), (message: FromHub) => heard.b!.push(message)];
  hub.want(tabA, "e/a", "http://h/live");
  hub.want(tabB, "e/b", "http://h/live");
  expect(asked).toEqual(["http://h/live?project=e%2Fa", "http://h/live"]);
  await new Promise((done) => setTimeout(done));
  push('event: run\ndata: {"entity":"e","project":"b","run":"r","at":1}\n\n');
  await new Promise((done) => setTimeout(done));
  expect(heard.b!.map((message) => message.type)).toEqual(["open", "run"]);
  expect(heard.a!.map((message) => message.type)).toEqual(["open"]);
  hub.want(tabA, null, "http://h/live");
  expect(asked.at(-1)).toBe("http://h/live?project=e%2Fb");
  hub.want(tabB, null, "http://h/live");
});

test("names at the ends of lines never cover each other", () => {
  const view = { x: [0, 1] as const, y: [0, 1] as const, width: 100, left: 0, height: 100, ratio: 1 };
  const lines = [0.5, 0.5, 0.49, 0, 1].map((y, i) => ({
    id: String(i), run: String(i), lane: 0, name: "n", color: 0,
    data: { length: 1, x: Float64Array.of(1), y: Float64Array.of(y), series: null as never, banded: false, yMin: y, yMax: y },
  }));
  const tops = endLabels(lines, view, 16).map((label) => label.top);
  expect(tops).toHaveLength(5);
  tops.slice(1).forEach((top, i) => expect(top - tops[i]!).toBeGreaterThanOrEqual(16));
  expect(Math.max(...tops)).toBeLessThanOrEqual(100);
});

test("the pace of a run is that of its last seconds", () => {
  const pace = new Pace();
  expect(pace.see(0, 0)).toBeNull();
  expect(pace.see(10, 2)).toBe(5);
  expect(pace.see(10, 30)).toBeNull();
});

test("a tree folds, is searched, and puts the SDK's own keys last", () => {
  const value = { _step: 1, b: { c: { d: "needle" } }, a: [1] };
  const ids = (closed: string[], search: string): string[] => treeRows(value, new Set(closed), search).map((row) => row.id);
  expect(ids([], "")).toEqual(["/a", "/b", "/b/c", "/b/c/d", "/_step"]);
  expect(ids(["/b"], "")).toEqual(["/a", "/b", "/_step"]);
  expect(ids(["/b"], "needle")).toEqual(["/b", "/b/c", "/b/c/d"]);
  const slashes = treeRows({ "a/b": { a: 1 }, a: { "b/a": 2 } }, new Set(), "").map((row) => row.id);
  expect(new Set(slashes).size).toBe(slashes.length);
  expect(treeRows({ "a/b": 1 }, new Set(), "a/b")).toHaveLength(1);
  expect(copyText({ a: [1, NaN], b: 2n ** 64n })).toBe('{\n  "a": [1, NaN],\n  "b": 18446744073709551616\n}');
});

test("a new user pastes five lines that name this server", () => {
  const lines = firstLines("http://lab:7117").split("\n");
  expect(lines).toHaveLength(5);
  expect(lines[0]).toContain('"http://lab:7117"');
});

test("a zoom on steps ends on whole steps", () => {
  expect(snapped([179.8, 359.6], "_step")).toEqual([180, 360]);
  expect(snapped([1.2, 3.4], "_step")).toEqual([1.2, 3.4]);
  expect(snapped([179.8, 359.6], "_runtime")).toEqual([179.8, 359.6]);
});
