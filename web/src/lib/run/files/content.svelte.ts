/** The beginning of one file, read piece by piece, or its end; a new version takes the old one's place once it is here. */
import { ApiError, getPart, UnreachableError } from "../../api/client";
import { filePath } from "../../api/endpoints";
import type { RunFile } from "../../api/types";

/** How much is read at a time. */
export const PIECE = 1_000_000;

export class Content {
  /** What is read of the file so far. */
  bytes = $state.raw<Uint8Array | null>(null);
  /** Where in the file they begin. */
  start = $state(0);
  /** Whether the end is read, not the beginning. */
  atEnd = $state(false);
  /** Length of the version that `bytes` are of. */
  size = $state(0);
  error = $state<string | null>(null);
  loading = $state(false);
  readonly whole = $derived(this.bytes !== null && this.start === 0 && this.bytes.length >= this.size);

  #path: string;
  #etag = "";
  /** What is being read. */
  #goal = "";
  #abort: AbortController | null = null;

  constructor(entity: string, project: string, id: string, file: string) {
    this.#path = filePath(entity, project, id, file);
  }

  /** Go to the end of the file, or back to its beginning. */
  async turn(atEnd: boolean, file: RunFile): Promise<void> {
    this.atEnd = atEnd;
    [this.#etag, this.#goal] = ["", ""];
    this.bytes = null;
    await this.show(file, PIECE);
  }

  /** Read the first bytes of this version, as many as were read of the one before, at least `least`; or the last. */
  async show(file: RunFile, least: number): Promise<void> {
    const etag = `"${file.digest}"`;
    const wanted = Math.min(file.size, this.atEnd ? PIECE : Math.max(least, this.bytes?.length ?? 0));
    if (etag === this.#etag && (this.bytes?.length ?? -1) >= wanted) return;
    const goal = `${etag} ${wanted}`;
    const from = this.atEnd ? file.size - wanted : 0;
    if (goal === this.#goal) return;
    this.#abort?.abort();
    const abort = (this.#abort = new AbortController());
    this.#goal = goal;
    await this.#reading(abort, async () => {
      // A file that grew meanwhile is read as far as it goes now: a little one is never shown in part.
      const most = this.atEnd || file.size === 0 ? wanted : Math.max(wanted, least);
      const part = await getPart(this.#path, from, from + most, abort.signal);
      [this.bytes, this.start, this.size, this.#etag] = [part.bytes, from, part.size, part.etag];
    });
    if (this.#goal === goal) this.#goal = "";
  }

  /** Read the next piece. */
  async more(): Promise<void> {
    const known = this.bytes;
    if (!known || this.atEnd || this.loading || known.length >= this.size) return;
    const abort = (this.#abort = new AbortController());
    await this.#reading(abort, async () => {
      const part = await getPart(this.#path, known.length, Math.min(this.size, known.length + PIECE), abort.signal);
      if (part.etag === this.#etag) {
        this.bytes = joined(known, part.bytes);
        return;
      }
      // Another version came meanwhile: from its beginning.
      const first = await getPart(this.#path, 0, known.length + PIECE, abort.signal);
      [this.bytes, this.size, this.#etag] = [first.bytes, first.size, first.etag];
    });
  }

  close(): void {
    this.#abort?.abort();
  }

  async #reading(abort: AbortController, read: () => Promise<void>): Promise<void> {
    this.loading = true;
    try {
      await read();
      this.error = null;
    } catch (failure) {
      if (abort.signal.aborted || failure instanceof UnreachableError) return;
      if (!(failure instanceof ApiError)) throw failure;
      this.error = failure.message;
    } finally {
      if (this.#abort === abort) this.loading = false;
    }
  }
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const all = new Uint8Array(first.length + second.length);
  all.set(first);
  all.set(second, first.length);
  return all;
}
