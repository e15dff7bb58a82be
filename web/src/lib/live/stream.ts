/** A server-sent event stream that reconnects by itself and notices when the line has gone silent. */

export interface RunEvent {
  entity: string;
  project: string;
  run: string;
  at: number;
}

export interface StreamEvents {
  open(): void;
  down(reason: "unreachable" | "unauthorized"): void;
  run(event: RunEvent): void;
}

// The server writes a comment every 10 s; two missed ones mean that nobody is there.
const SILENCE_MS = 25_000;
const RETRY_MS = [500, 1000, 2000, 4000];

/** Split what has arrived into whole events; returns the data of `run` events and the unfinished rest. */
export function takeEvents(text: string): { events: RunEvent[]; rest: string } {
  const blocks = text.replace(/\r\n?/g, "\n").split("\n\n");
  const rest = blocks.pop() ?? "";
  const events: RunEvent[] = [];
  for (const block of blocks) {
    let name = "message";
    const data: string[] = [];
    for (const line of block.split("\n")) {
      if (line.startsWith("event:")) name = line.slice(6).trim();
      else if (line.startsWith("data:")) data.push(line.slice(5).trim());
    }
    if (name === "run" && data.length > 0) events.push(JSON.parse(data.join("\n")) as RunEvent);
  }
  return { events, rest };
}

/** Follow the stream at `url` until the returned function is called. */
export function followStream(url: string, events: StreamEvents): () => void {
  let closed = false;
  let attempt = 0;
  let controller = new AbortController();
  let retryTimer: ReturnType<typeof setTimeout> | undefined;
  let silenceTimer: ReturnType<typeof setTimeout> | undefined;

  function alive(): void {
    clearTimeout(silenceTimer);
    silenceTimer = setTimeout(() => controller.abort(), SILENCE_MS);
  }

  async function connect(): Promise<void> {
    controller = new AbortController();
    let reason: "unreachable" | "unauthorized" = "unreachable";
    try {
      alive();
      const response = await fetch(url, {
        headers: { accept: "text/event-stream" },
        credentials: "same-origin",
        cache: "no-store",
        signal: controller.signal,
      });
      if (response.status === 401) reason = "unauthorized";
      if (response.ok && response.body && !closed) {
        attempt = 0;
        events.open();
        await read(response.body);
      }
    } catch {
      // the line broke: told below, and tried again
    }
    clearTimeout(silenceTimer);
    if (closed) return;
    events.down(reason);
    retryTimer = setTimeout(() => void connect(), RETRY_MS[Math.min(attempt++, RETRY_MS.length - 1)]);
  }

  async function read(body: ReadableStream<Uint8Array>): Promise<void> {
    const reader = body.getReader();
    const decoder = new TextDecoder();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      alive();
      const taken = takeEvents(text + decoder.decode(value, { stream: true }));
      text = taken.rest;
      for (const event of taken.events) if (!closed) events.run(event);
    }
  }

  void connect();
  return () => {
    closed = true;
    clearTimeout(retryTimer);
    clearTimeout(silenceTimer);
    controller.abort();
  };
}
