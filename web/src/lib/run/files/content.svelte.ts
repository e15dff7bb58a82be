/** The beginning of one file, read piece by piece; a new version takes the old one's place once it is here. */
import { ApiError, getPart, UnreachableError } from "../../api/client";
import { filePath } from "../../api/endpoints";
import type { RunFile } from "../../api/types";

/** How much is read at a time. */
export const PIECE = 1_000_000;

export class Content {
  /** What is read of the file so far. */
  bytes = $state.raw<Uint8Array | null>(null);
  /** Length of the version that `bytes` are of. */
  size = $state(0);
  error = $state<string | null>(null);
  loading = $state(false);
  readonly whole = $derived(this.bytes !== null && this.bytes.length >= this.size);

  #path: string;
  #etag = "";
  /** What is being read. */
  #goal = "";
  #abort: AbortController | null = null;

  constructor(entity: string, project: string, id: string, file: string) {
    this.#path = filePath(entity, project, id, file);
  }

  /** Read the first bytes of this version, as many as were read of the one before, at least `least`. */
  async show(file: RunFile, least: number): Promise<void> {
    const etag = `"${file.digest}"`;
    const wanted = Math.min(file.size, Math.max(least, this.bytes?.length ?? 0));
    if (etag === this.#etag && (this.bytes?.length ?? -1) >= wanted) return;
    const goal = `${etag} ${wanted}`;
    if (goal === this.#goal) return;
    this.#abort?.abort();
    const abort = (this.#abort = new AbortController());
    this.#goal = goal;
    await this.#reading(abort, async () => {
      const part = await getPart(this.#path, 0, wanted, abort.signal);
      [this.bytes, this.size, this.#etag] = [part.bytes, part.size, part.etag];
    });
    if (this.#goal === goal) this.#goal = "";
  }

  /** Read the next piece. */
  async more(): Promise<void> {
    const known = this.bytes;
    if (!known || this.loading || known.length >= this.size) return;
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
