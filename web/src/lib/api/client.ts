/** One way to the server: addresses under `<base href>`, one error type, and who hears about 401 and silence. */
import { parseJson } from "./numbers";

/** The server answered, and said no; `message` is its one line for people. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
    this.name = "ApiError";
  }
}

/** The server did not answer. */
export class UnreachableError extends Error {
  override name = "UnreachableError";
}

type Contact = "answered" | "unreachable" | "unauthorized";
const listeners = new Set<(contact: Contact) => void>();

/** Hear the outcome of every request. Returns the way to stop. */
export function onContact(listener: (contact: Contact) => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function tell(contact: Contact): void {
  for (const listener of listeners) listener(contact);
}

/** The server's own address, without a slash at its end. */
export function serverAddress(): string {
  return new URL(".", document.baseURI).href.replace(/\/$/, "");
}

export function apiUrl(path: string): string {
  return new URL(`api/v1/${path}`, document.baseURI).href;
}

async function send(path: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(apiUrl(path), { credentials: "same-origin", ...init });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    tell("unreachable");
    throw new UnreachableError(String(error));
  }
  // A proxy answers for a server that is away.
  if (response.status >= 502 && response.status <= 504) {
    tell("unreachable");
    throw new UnreachableError(`${response.status}`);
  }
  tell(response.status === 401 ? "unauthorized" : "answered");
  if (!response.ok) throw new ApiError(response.status, await errorLine(response));
  return response;
}

async function errorLine(response: Response): Promise<string> {
  const text = await response.text();
  try {
    const body = JSON.parse(text) as { error?: unknown };
    if (typeof body.error === "string") return body.error;
  } catch {
    // not JSON: the status line is what there is to say
  }
  return `${response.status} ${response.statusText}`.trim();
}

export async function getJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await send(path, signal ? { signal } : {});
  return parseJson(await response.text()) as T;
}

export interface Part {
  bytes: Uint8Array;
  /** Length of the whole, of which `bytes` are a part. */
  size: number;
  /** Names the whole's content. */
  etag: string;
}

/** The bytes of an address from `start` to `end` (exclusive), or as far as there are any. */
export async function getPart(path: string, start: number, end: number, signal?: AbortSignal): Promise<Part> {
  // An empty file has no part.
  const headers: Record<string, string> = end > start ? { range: `bytes=${start}-${end - 1}` } : {};
  // A browser's cache asks for the part that it had of an older version, and answers with no more than that.
  const response = await send(path, { headers, cache: "no-store", ...(signal ? { signal } : {}) });
  const bytes = new Uint8Array(await response.arrayBuffer());
  const size = Number(/\/(\d+)$/.exec(response.headers.get("content-range") ?? "")?.[1] ?? bytes.length);
  return { bytes, size, etag: response.headers.get("etag") ?? "" };
}

export async function postForBytes(path: string, body: unknown, signal?: AbortSignal): Promise<Uint8Array> {
  const response = await send(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    ...(signal ? { signal } : {}),
  });
  return new Uint8Array(await response.arrayBuffer());
}

/** Send `body` as JSON and read the answer. */
export async function sendForJson<T>(method: "POST" | "PUT", path: string, body: unknown): Promise<T> {
  const response = await send(path, { method, headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  return parseJson(await response.text()) as T;
}

export async function sendJson(method: "POST" | "DELETE", path: string, body?: unknown): Promise<void> {
  await send(path, {
    method,
    ...(body === undefined ? {} : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
  });
}
