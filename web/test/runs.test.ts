// @vitest-environment jsdom
import { expect, test } from "vitest";
import type { Run } from "../src/lib/api/types";
import { columnsFor, runtimeOf, valueAt, valueIn } from "../src/lib/runs/columns";
import { ALL, eyeParams, isShown, NONE, onlyThis, readEyes, toggled } from "../src/lib/runs/eyes";
import { nextSort } from "../src/lib/runs/sorting";

function run(fields: Partial<Run>): Run {
  return {
    entity: "e", project: "p", id: "r", uid: "", name: "amber-fox-1", state: "finished", exit_code: 0, reason: null,
    created: 100, started: 100, ended: 160, updated: 160, runtime: 60, host: null, user: null, command: null, notes: "",
    tags: [], group: null, job_type: null, config: {}, summary: {}, last_step: null, rows: 0, at: 0, color: 0,
    source_gone: false, url: null, ...fields,
  };
}

test("values are found below nested keys and below keys that hold dots", () => {
  const one = run({ config: { optimizer: { lr: 0.1 }, "a.b": { c: 3 } }, summary: { "val/loss": 2 } });
  expect(valueAt(one, "config.optimizer.lr")).toBe(0.1);
  expect(valueAt(one, "config.a.b.c")).toBe(3);
  expect(valueAt(one, "summary.val/loss")).toBe(2);
  expect(valueAt(one, "config.missing")).toBeUndefined();
  expect(valueIn({ a: null }, "a")).toBeNull();
});

test("config keys that differ stand before those that agree", () => {
  const runs = [run({ config: { same: 1, lr: 0.1 } }), run({ config: { same: 1, lr: 0.2 } })];
  const found = [
    { key: "config.same", type: "num" as const, count: 2 },
    { key: "config.lr", type: "num" as const, count: 2 },
    { key: "summary._timestamp", type: "num" as const, count: 2 },
    { key: "summary.loss", type: "num" as const, count: 2 },
  ];
  const keys = (wide: boolean): string[] => columnsFor(found, runs, wide).map((column) => column.key);
  expect(keys(true)).toEqual(["state", "created", "runtime", "notes", "tags", "config.lr", "summary.loss", "config.same"]);
  expect(keys(false).slice(0, 4)).toEqual(["state", "runtime", "summary.loss", "config.lr"]);
});

test("a live run's time goes on between its events", () => {
  expect(runtimeOf(run({ state: "running", runtime: 60 }), 190)).toBe(90);
  expect(runtimeOf(run({ state: "running", runtime: 60 }), 50)).toBe(60);
  expect(runtimeOf(run({ state: "no_contact", runtime: 60 }), 1e6)).toBe(60);
});

test("a click sorts, a second one turns the order, shift adds", () => {
  expect(nextSort(["-created"], "name", false)).toEqual(["name"]);
  expect(nextSort(["name"], "name", false)).toEqual(["-name"]);
  expect(nextSort(["-created"], "config.lr", false)).toEqual(["-config.lr"]);
  expect(nextSort(["-created"], "name", true)).toEqual(["-created", "name"]);
  expect(nextSort(["-created", "name"], "created", true)).toEqual(["created", "name"]);
});

test("eyes are kept in the address and read from it", () => {
  const hidden = toggled(ALL, "a");
  expect(isShown(hidden, "a")).toBe(false);
  expect(eyeParams(hidden)).toEqual({ hidden: "a", only: null });
  expect(readEyes("a", null)).toEqual(hidden);
  expect(eyeParams(toggled(hidden, "a"))).toEqual({ hidden: null, only: null });
  const only = onlyThis("b");
  expect([isShown(only, "b"), isShown(only, "a")]).toEqual([true, false]);
  expect(readEyes(null, eyeParams(only).only)).toEqual(only);
  expect(readEyes(null, eyeParams(NONE).only)).toEqual(NONE);
});
