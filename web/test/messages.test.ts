// @vitest-environment jsdom
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { parse } from "svelte/compiler";
import { expect, test } from "vitest";
import { fill } from "../src/lib/i18n/i18n.svelte";
import { messages } from "../src/lib/i18n/messages";

const SOURCE = join(import.meta.dirname, "../src");
const files = readdirSync(SOURCE, { recursive: true, encoding: "utf8" })
  .filter((name) => /\.(svelte|ts)$/.test(name) && !name.endsWith("schema.ts") && !name.endsWith("messages.ts"))
  .map((name) => ({ name, text: readFileSync(join(SOURCE, name), "utf8") }));
const everything = files.map(({ text }) => text).join("\n");
const keys = Object.keys(messages);

/** Keys that the code builds: `state.${state}` stands for all that begin with `state.`. */
const built = [...everything.matchAll(/`([a-z][\w]*\.)\$\{/g)].map((match) => match[1]!);

test("every text exists in English and Japanese", () => {
  for (const [key, text] of Object.entries(messages)) {
    expect(text.en, key).not.toBe("");
    expect(text.ja, key).not.toBe("");
  }
});

test("both languages take the same values", () => {
  const names = (text: string): string[] => [...new Set([...text.matchAll(/\{(\w+)/g)].map((match) => match[1]!))].sort();
  for (const [key, text] of Object.entries(messages)) expect(names(text.ja), key).toEqual(names(text.en));
});

test("no message is unused", () => {
  const unused = keys.filter((key) => !everything.includes(`"${key}"`) && !built.some((prefix) => key.startsWith(prefix)));
  expect(unused).toEqual([]);
});

test("no message is missing", () => {
  const used = [...everything.matchAll(/\bt\(\s*"([^"]+)"/g)].map((match) => match[1]!);
  expect(used.length).toBeGreaterThan(50);
  expect(used.filter((key) => !keys.includes(key))).toEqual([]);
  for (const prefix of built) expect(keys.some((key) => key.startsWith(prefix)), prefix).toBe(true);
});

const LETTERS = /\p{L}{2,}/u;
const SPOKEN = new Set(["title", "aria-label", "placeholder", "alt", "label"]);
/** The product's name, and the shape of a key: the same in every language. */
const NOT_TEXT = /^(kiseki|Kiseki|· Kiseki|kk_…)$/;

test("no component says anything that is not in the table", () => {
  const found: string[] = [];
  for (const { name, text } of files.filter((file) => file.name.endsWith(".svelte"))) {
    walk(parse(text, { modern: true }).fragment, (node) => {
      if (node.type === "StyleDirective") return false;
      if (node.type === "Text" && LETTERS.test(String(node.data)) && !NOT_TEXT.test(String(node.data).trim())) {
        found.push(`${name}: ${String(node.data).trim()}`);
      }
      if (node.type !== "Attribute" || !Array.isArray(node.value)) return true;
      const words = (node.value as Node[]).filter((part) => part.type === "Text" && LETTERS.test(String(part.data)));
      if (SPOKEN.has(String(node.name)) && words.some((part) => !NOT_TEXT.test(String(part.data)))) found.push(`${name}: ${String(node.name)}`);
      return false;
    });
  }
  expect(found).toEqual([]);
});

type Node = { type: string; [key: string]: unknown };

function walk(node: unknown, visit: (node: Node) => boolean): void {
  if (Array.isArray(node)) node.forEach((each) => walk(each, visit));
  else if (node !== null && typeof node === "object" && "type" in node && visit(node as Node)) {
    for (const child of Object.values(node)) walk(child, visit);
  }
}

test("values and numbers are filled in", () => {
  expect(fill("{n} {n|run|runs}", { n: 1 }, "en")).toBe("1 run");
  expect(fill("{n} {n|run|runs}", { n: 12345 }, "en")).toBe("12,345 runs");
  expect(fill("「{filter}」", { filter: "$& {n}" }, "ja")).toBe("「$& {n}」");
});
