// @vitest-environment jsdom
import { mount, unmount } from "svelte";
import { expect, test, vi } from "vitest";
import type { RunFile } from "../src/lib/api/types";
import { fileSize } from "../src/lib/format/bytes";
import { Content } from "../src/lib/run/files/content.svelte";
import { isNumeric, parseTable } from "../src/lib/run/files/csv";
import { hexLines } from "../src/lib/run/files/hex";
import { readJson } from "../src/lib/run/files/json";
import { decodeText, isText, kindOf } from "../src/lib/run/files/kinds";
import { inlinesOf, parseMarkdown, safeLink } from "../src/lib/run/files/markdown";
import NoFiles from "../src/lib/run/files/NoFiles.svelte";
import { parseNotebook } from "../src/lib/run/files/notebook";
import { fileRows, foldersOf } from "../src/lib/run/files/tree";
import { visibleDirections, visibleName } from "../src/lib/format/visible";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const listed = (...paths: string[]): { path: string }[] => paths.map((path) => ({ path }));
const all = (): boolean => true;

test("paths become folders first, each in the order of its numbers", () => {
  const rows = fileRows(listed("b.txt", "run10/a", "run2/a", "run2/c/d", "a10.txt", "a9.txt"), all, "");
  expect(rows.map((row) => `${"-".repeat(row.depth)}${row.name}`)).toEqual(["run2", "-c", "--d", "-a", "run10", "-a", "a9.txt", "a10.txt", "b.txt"]);
  expect(rows[0]).toMatchObject({ id: "run2/", count: 2, place: 1, siblings: 5, file: null });
});

test("a closed folder hides what is in it, and a search opens it", () => {
  const files = listed("media/a.png", "media/b.png", "a.txt");
  const closed = (): boolean => false;
  expect(fileRows(files, closed, "").map((row) => row.id)).toEqual(["media/", "a.txt"]);
  expect(fileRows(files, closed, "B MEDIA").map((row) => row.id)).toEqual(["media/", "media/b.png"]);
  expect(fileRows(files, closed, "nowhere")).toEqual([]);
});

test("a file and a folder of one name are two rows", () => {
  expect(fileRows(listed("a", "a/b"), all, "").map((row) => row.id)).toEqual(["a/", "a/b", "a"]);
});

test("what a name hides is spelled out", () => {
  expect(visibleName("a\nb\tc\u202egpj.exe")).toBe("a\\nb\\tc\\u202egpj.exe");
  expect(visibleDirections("\tif ok\u2067: # \u202e:")).toBe("\tif ok\\u2067: # \\u202e:");
  expect(foldersOf("a/b/c.txt")).toEqual(["a/", "a/b/"]);
});

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [1000, "1 kB"],
  [1234, "1.23 kB"],
  [999_499, "999 kB"],
  [999_600, "1 MB"],
  [5_490_000, "5.49 MB"],
  [2 ** 40, "1.1 TB"],
])("%d bytes are %s", (size, text) => expect(fileSize(size)).toBe(text));

test("quotes, doubled quotes and line breaks in quotes are cells", () => {
  const table = parseTable('\ufeffa,b\r\n"x, ""y""","two\nlines"\n\n1,\n', ",", 10, true);
  expect(table).toEqual({ header: ["a", "b"], rows: [['x, "y"', "two\nlines"], ["1", ""]], more: false });
});

test("of a beginning the cut line is left out, and of a long table the rest", () => {
  expect(parseTable("a,b\n1,2\n3,", ",", 10, false)).toEqual({ header: ["a", "b"], rows: [["1", "2"]], more: true });
  const long = parseTable(`n\n${Array.from({ length: 50 }, (_, i) => i).join("\n")}`, ",", 10, true);
  expect([long.rows.length, long.rows.at(-1), long.more]).toEqual([10, ["9"], true]);
});

test("a column of numbers is numeric, gaps and NaN included", () => {
  const rows = [["1", "a", ""], ["-2.5e-3", "2", "nan"], ["", "3", "inf"]];
  expect([0, 1, 2].map((column) => isNumeric(rows, column))).toEqual([true, false, false]);
});

test("markdown is read as data, whatever HTML it holds", () => {
  expect(parseMarkdown("# Title #\n\ntext with **bold *both***, `co*de*`\nsecond <script>alert(1)</script>")).toEqual([
    { kind: "heading", level: 1, inside: [{ kind: "text", text: "Title" }] },
    {
      kind: "paragraph",
      inside: [
        { kind: "text", text: "text with " },
        { kind: "strong", inside: [{ kind: "text", text: "bold " }, { kind: "em", inside: [{ kind: "text", text: "both" }] }] },
        { kind: "text", text: ", " },
        { kind: "code", text: "co*de*" },
        { kind: "text", text: "\nsecond <script>alert(1)</script>" },
      ],
    },
  ]);
  expect(parseMarkdown("```python\n# no heading\n```\n> quoted\n> - item").map((block) => block.kind)).toEqual(["code", "quote"]);
  expect(parseMarkdown("- [x] done\n- two\n  1. inner\n\n3) other")).toMatchObject([
    { kind: "list", ordered: false, items: [{ done: true }, { done: null, blocks: [{ kind: "paragraph" }, { kind: "list", ordered: true }] }] },
    { kind: "list", ordered: true, start: 3 },
  ]);
  expect(parseMarkdown("| a | b |\n|---|:-:|\n| 1 | x\\|y |\n\nend")).toMatchObject([
    { kind: "table", header: [[{ text: "a" }], [{ text: "b" }]], rows: [[[{ text: "1" }], [{ text: "x|y" }]]] },
    { kind: "paragraph" },
  ]);
  expect(parseMarkdown("snake_case_name and 2*3*4")).toEqual([{ kind: "paragraph", inside: [{ kind: "text", text: "snake_case_name and 2*3*4" }] }]);
});

test.each(["javascript:alert(1)", "data:text/html,x", "/api/v1/keys", "vbscript:x", "java\nscript:alert(1)", "blob:http://h/x", "file:///etc/passwd"])(
  "the link %s leads nowhere",
  (href) => expect(safeLink(href)).toBeNull(),
);

test("links lead to the web, and pictures are named only", () => {
  expect(inlinesOf("[a](https://example.org/x_(y) \"t\") ![alt](https://example.org/i.png) <https://k.dev>")).toEqual([
    { kind: "link", href: "https://example.org/x_(y)", inside: [{ kind: "text", text: "a" }] },
    { kind: "text", text: " " },
    { kind: "link", href: null, inside: [{ kind: "text", text: "alt" }] },
    { kind: "text", text: " " },
    { kind: "link", href: "https://k.dev/", inside: [{ kind: "text", text: "https://k.dev" }] },
  ]);
});

test("long and deep markdown ends", () => {
  const started = performance.now();
  parseMarkdown(`${"> ".repeat(500)}deep\n${"- a\n  ".repeat(300)}`);
  inlinesOf(`${"*".repeat(3000)}${"[".repeat(3000)}${"`".repeat(3000)}`);
  parseMarkdown(`${"**a".repeat(2000)}`);
  expect(performance.now() - started).toBeLessThan(5000);
});

test("a notebook is cells with their outputs, old formats too", () => {
  const [text, code] = parseNotebook(
    JSON.stringify({
      cells: [
        { cell_type: "markdown", source: ["# a\n", "b"] },
        {
          cell_type: "code",
          execution_count: 3,
          source: "x",
          outputs: [
            { output_type: "stream", name: "stderr", text: ["10%\r", "20%\n"] },
            { output_type: "display_data", data: { "image/png": "iVBOR\n", "text/plain": "fig" } },
            { output_type: "execute_result", data: { "text/html": "<b>", "text/plain": "b" } },
            { output_type: "error", ename: "E", evalue: "v", traceback: ["\u001b[31mE\u001b[0m: v"] },
          ],
        },
      ],
    }),
  );
  expect(text).toMatchObject({ kind: "markdown", blocks: [{ kind: "heading" }, { kind: "paragraph" }] });
  expect(code).toMatchObject({ kind: "code", source: "x", count: 3 });
  expect(code!.outputs).toEqual([
    { kind: "text", text: "20%\n", error: true },
    { kind: "image", source: "data:image/png;base64,iVBOR" },
    { kind: "html", text: "<b>" },
    { kind: "text", text: "E: v", error: true },
  ]);
  const old = parseNotebook(JSON.stringify({ worksheets: [{ cells: [{ cell_type: "code", input: "y", prompt_number: 1, outputs: [{ output_type: "pyout", text: "1" }] }] }] }));
  expect(old).toMatchObject([{ source: "y", count: 1, outputs: [{ text: "1" }] }]);
  expect(() => parseNotebook("{}")).toThrow();
});

test("a JSON file keeps its digits, and lists of maps fold", () => {
  expect(readJson('{"big": 12345678901234567890, "nan": NaN, "inf": -Infinity, "s": "NaN 12345678901234567890", "f": 1.2345678901234567890}')).toEqual({
    big: 12345678901234567890n,
    nan: NaN,
    inf: -Infinity,
    s: "NaN 12345678901234567890",
    f: 1.2345678901234567,
  });
  expect(readJson('[1, [2], {"a": 1}]')).toEqual({ "0": 1, "1": [2], "2": { a: 1 } });
  expect(readJson("{broken")).toBeUndefined();
});

test("bytes say whether they are text", () => {
  expect(isText(bytes("日本語\n"))).toBe(true);
  expect(isText(bytes("日本語").subarray(0, 7))).toBe(true);
  expect(isText(new Uint8Array([0x50, 0x4b, 0, 1]))).toBe(false);
  expect(isText(Uint8Array.from({ length: 200 }, (_, i) => 128 + (i % 100)))).toBe(false);
  expect(isText(new Uint8Array(0))).toBe(true);
  expect(decodeText(new Uint8Array([0xff, 0xfe, 0x61, 0, 0x62, 0]))).toBe("ab");
  expect(decodeText(bytes("a日").subarray(0, 3))).toBe("a");
});

test("a hex dump has places, bytes and letters", () => {
  const [first, second] = hexLines(bytes("0123456789abcdefXY\n"));
  expect(first).toEqual({ place: "00000000", bytes: "30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66", text: "0123456789abcdef" });
  expect(second).toEqual({ place: "00000010", bytes: "58 59 0a", text: "XY." });
});

test.each([
  ["text/html", "page"],
  ["image/svg+xml", "page"],
  ["image/avif", "image"],
  ["image/tiff", "hex"],
  ["application/pdf", "hex"],
  ["application/zip", "hex"],
  ["application/octet-stream", "text"],
  ["application/x-ipynb+json", "notebook"],
  ["text/tab-separated-values", "table"],
  ["video/mp4", "video"],
] as const)("%s is shown as %s", (media_type, kind) => {
  expect(kindOf({ path: "x", size: 1, digest: "", updated: 0, media_type })).toBe(kind);
});

test("a file is read once, however often it is asked for, and anew when it changes", async () => {
  const asked: string[] = [];
  let answer = (_range: string): Response => new Response("abc", { headers: { etag: '"1"', "content-range": "bytes 0-2/3" } });
  vi.stubGlobal("fetch", (_url: string, init: { headers: Record<string, string> }) => {
    asked.push(init.headers.range ?? "");
    return Promise.resolve(answer(init.headers.range ?? ""));
  });
  const file = (digest: string, size: number): RunFile => ({ path: "a", size, digest, updated: 0, media_type: "text/plain" });
  const content = new Content("e", "p", "r", "a");
  await Promise.all([content.show(file("1", 3), 1000), content.show(file("1", 3), 1000)]);
  await content.show(file("1", 3), 1000);
  expect(asked).toEqual(["bytes=0-999"]);
  expect([decodeText(content.bytes!), content.whole]).toEqual(["abc", true]);
  answer = () => new Response("abcdef", { headers: { etag: '"2"', "content-range": "bytes 0-5/6" } });
  await content.show(file("2", 6), 1000);
  expect(decodeText(content.bytes!)).toBe("abcdef");
  answer = () => new Response(JSON.stringify({ error: "it is gone" }), { status: 404 });
  await content.show(file("3", 9), 1000);
  expect([content.error, decodeText(content.bytes!), content.loading]).toEqual(["it is gone", "abcdef", false]);
  vi.unstubAllGlobals();
});

test("what changed between two pieces is read from its beginning", async () => {
  const answers = [
    new Response("abcd", { headers: { etag: '"1"', "content-range": "bytes 0-3/8" } }),
    new Response("EFGH", { headers: { etag: '"2"', "content-range": "bytes 4-7/8" } }),
    new Response("ABCDEFGH", { headers: { etag: '"2"', "content-range": "bytes 0-7/8" } }),
  ];
  vi.stubGlobal("fetch", () => Promise.resolve(answers.shift()!));
  const content = new Content("e", "p", "r", "a");
  await content.show({ path: "a", size: 8, digest: "1", updated: 0, media_type: "text/plain" }, 4);
  expect(content.whole).toBe(false);
  await content.more();
  expect([decodeText(content.bytes!), content.whole, answers.length]).toEqual(["ABCDEFGH", true, 0]);
  vi.unstubAllGlobals();
});

test("a run without files says how they get there", () => {
  document.body.innerHTML = "";
  const shown = mount(NoFiles, { target: document.body, props: { running: true } });
  expect(document.body.textContent).toContain("run.save(");
  expect(document.body.textContent).toContain("appears here by itself");
  void unmount(shown);
});

test("the end of a file is read from where it begins, and follows a new version", async () => {
  const asked: string[] = [];
  vi.stubGlobal("fetch", (_url: string, init: { headers: Record<string, string> }) => {
    const [, from, to] = /bytes=(\d+)-(\d+)/.exec(init.headers.range!)!;
    asked.push(`${from}-${to}`);
    const size = asked.length < 3 ? 3_000_000 : 3_000_100;
    return Promise.resolve(new Response(new Uint8Array(Number(to) - Number(from) + 1), { headers: { etag: `"${size}"`, "content-range": `bytes ${from}-${to}/${size}` } }));
  });
  const file = (size: number): RunFile => ({ path: "a", size, digest: String(size), updated: 0, media_type: "text/plain" });
  const content = new Content("e", "p", "r", "a");
  await content.show(file(3_000_000), 1000);
  await content.turn(true, file(3_000_000));
  expect([content.start, content.whole]).toEqual([2_000_000, false]);
  await content.show(file(3_000_100), 1000);
  expect([content.start, content.size, content.bytes!.length]).toEqual([2_000_100, 3_000_100, 1_000_000]);
  expect(asked).toEqual(["0-999", "2000000-2999999", "2000100-3000099"]);
  vi.unstubAllGlobals();
});
