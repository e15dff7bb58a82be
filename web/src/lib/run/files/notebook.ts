/** A Jupyter notebook (nbformat 3 and 4) as the cells to draw. */
import { parseMarkdown, type Block } from "./markdown";

export type Output =
  | { kind: "text"; text: string; error: boolean }
  | { kind: "image"; source: string }
  | { kind: "html"; text: string }
  | { kind: "markdown"; blocks: Block[] };

export interface Cell {
  kind: "markdown" | "code" | "raw";
  source: string;
  blocks: Block[];
  count: number | null;
  outputs: Output[];
}

type Loose = Record<string, unknown>;

/** The cells of a notebook's JSON; throws an Error, in words of the parser, where it is none. */
export function parseNotebook(text: string): Cell[] {
  const book = JSON.parse(text) as Loose;
  const sheets = Array.isArray(book.worksheets) ? (book.worksheets as Loose[]) : [];
  const cells = Array.isArray(book.cells) ? book.cells : sheets.flatMap((sheet) => (Array.isArray(sheet.cells) ? sheet.cells : []));
  if (!Array.isArray(book.cells) && sheets.length === 0) throw new Error("cells");
  return (cells as Loose[]).filter((cell) => typeof cell === "object" && cell !== null).map(cellOf);
}

function cellOf(cell: Loose): Cell {
  const heading = cell.cell_type === "heading" ? `${"#".repeat(Number(cell.level) || 1)} ` : "";
  const kind = cell.cell_type === "code" ? "code" : cell.cell_type === "markdown" || heading ? "markdown" : "raw";
  const source = heading + joined(cell.source ?? cell.input);
  const count = cell.execution_count ?? cell.prompt_number;
  return {
    kind,
    source,
    blocks: kind === "markdown" ? parseMarkdown(source) : [],
    count: typeof count === "number" ? count : null,
    outputs: kind === "code" && Array.isArray(cell.outputs) ? (cell.outputs as Loose[]).flatMap(outputOf) : [],
  };
}

function outputOf(output: Loose): Output[] {
  if (output.output_type === "stream") return [{ kind: "text", text: plain(joined(output.text)), error: output.name === "stderr" || output.stream === "stderr" }];
  if (output.output_type === "error" || output.output_type === "pyerr") {
    const trace = Array.isArray(output.traceback) ? output.traceback.join("\n") : `${String(output.ename)}: ${String(output.evalue)}`;
    return [{ kind: "text", text: plain(trace), error: true }];
  }
  // In nbformat 3 the data stand in the output itself, under short names.
  const data = (typeof output.data === "object" && output.data !== null ? output.data : output) as Loose;
  const image = Object.entries({ png: "image/png", jpeg: "image/jpeg", gif: "image/gif", webp: "image/webp" })
    .map(([short, type]) => [type, data[type] ?? data[short]] as const)
    .find(([, value]) => value !== undefined);
  if (image) return [{ kind: "image", source: `data:${image[0]};base64,${joined(image[1]).replace(/[^A-Za-z0-9+/=]/g, "")}` }];
  const html = data["text/html"] ?? data["image/svg+xml"] ?? data.html ?? data.svg;
  if (html !== undefined) return [{ kind: "html", text: joined(html) }];
  if (data["text/markdown"] !== undefined) return [{ kind: "markdown", blocks: parseMarkdown(joined(data["text/markdown"])) }];
  const text = data["text/plain"] ?? data["text/latex"] ?? data["application/json"] ?? data.text;
  return text === undefined ? [] : [{ kind: "text", text: plain(joined(text)), error: false }];
}

function joined(value: unknown): string {
  if (Array.isArray(value)) return value.join("");
  return typeof value === "string" ? value : value === undefined || value === null ? "" : JSON.stringify(value, null, 1);
}

/** Text as a terminal leaves it: without colours, and of a line that was written over its last state. */
function plain(text: string): string {
  const bare = text.replace(/\u001b\[[0-9;?]*[ -/]*[@-~]/g, "");
  return bare.replace(/\r\n/g, "\n").replace(/^.*\r(?!$)/gm, "");
}
