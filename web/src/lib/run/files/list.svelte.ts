/** A run's files as they are now: read again when the run changes, at most every two seconds, a long list less often. */
import { ApiError, UnreachableError } from "../../api/client";
import { listFiles } from "../../api/endpoints";
import type { PendingFile, RunFile } from "../../api/types";

const EVERY_MS = 2000;
/** Of the time, at most this share is spent reading. */
const SHARE = 0.1;

/** A file in the tree: `file` null where only its announcement is here, `pending` where a newer version comes. */
export interface ListedFile {
  path: string;
  size: number;
  file: RunFile | null;
  pending: PendingFile | null;
}

export class FileList {
  files = $state.raw<ListedFile[] | null>(null);
  error = $state<string | null>(null);

  #place: [entity: string, project: string, id: string];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #abort = new AbortController();
  #readAt = -Infinity;
  #every = EVERY_MS;
  #reading = false;
  #again = false;

  constructor(entity: string, project: string, id: string) {
    this.#place = [entity, project, id];
  }

  /** The run changed: what is shown may be old. */
  touch(): void {
    this.#timer ??= setTimeout(() => void this.read(), Math.max(0, this.#readAt + this.#every - performance.now()));
  }

  async read(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#reading) {
      this.#again = true;
      return;
    }
    this.#reading = true;
    this.#readAt = performance.now();
    try {
      const { files, pending } = await listFiles(...this.#place, this.#abort.signal);
      this.files = merged(files, pending);
      this.error = null;
      this.#every = Math.max(EVERY_MS, (performance.now() - this.#readAt) / SHARE);
    } catch (failure) {
      if (this.#abort.signal.aborted || failure instanceof UnreachableError) return;
      if (!(failure instanceof ApiError)) throw failure;
      this.error = failure.message;
    } finally {
      this.#reading = false;
      if (this.#again && !this.#abort.signal.aborted) this.touch();
      this.#again = false;
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#abort.abort();
  }
}

function merged(files: readonly RunFile[], pending: readonly PendingFile[]): ListedFile[] {
  const awaited = new Map(pending.map((each) => [each.path, each]));
  const listed: ListedFile[] = files.map((file) => ({ path: file.path, size: file.size, file, pending: awaited.get(file.path) ?? null }));
  const here = new Set(files.map((file) => file.path));
  for (const each of pending) if (!here.has(each.path)) listed.push({ path: each.path, size: each.size, file: null, pending: each });
  return listed;
}
