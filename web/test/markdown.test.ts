/** Markdown that is made to take long. */
import { expect, test } from "vitest";

import { parseMarkdown } from "../src/lib/run/files/markdown";

const MANY = 200_000;

test("one line or list that goes on and on takes no more time than its length", () => {
  const blank = " ".repeat(MANY);
  expect(parseMarkdown(`# a${blank}b`)).toHaveLength(1);
  expect(parseMarkdown(`a | b\n${blank}|x`)).toHaveLength(1);
  expect(parseMarkdown(`http://a.b/${".".repeat(MANY)}c`)).toHaveLength(1);
  expect(parseMarkdown("- a\n\n".repeat(MANY / 4))).toMatchObject([{ kind: "list", items: { length: MANY / 4 } }]);
  expect(parseMarkdown(`- a${"\n".repeat(MANY)}  b`)).toMatchObject([{ kind: "list", items: [{ blocks: { length: 2 } }] }]);
});

test("a heading may be closed, and a table have one column", () => {
  const text = (markdown: string): unknown => parseMarkdown(markdown)[0];
  expect(text("## a # b ##  ")).toEqual({ kind: "heading", level: 2, inside: [{ kind: "text", text: "a # b" }] });
  expect(text("# C#")).toEqual({ kind: "heading", level: 1, inside: [{ kind: "text", text: "C#" }] });
  expect(text("| a |\n| - |\n| 1 |")).toMatchObject({ kind: "table", header: { length: 1 }, rows: { length: 1 } });
  expect(parseMarkdown("a | b\n- c")).toMatchObject([{ kind: "paragraph" }, { kind: "list" }]);
});
