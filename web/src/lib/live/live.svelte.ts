/** This tab's part of the event stream: what it listens to, and whether the server can be reached. */
import { apiUrl, onContact } from "../api/client";
import { Hub, type FromHub, type ToHub, type Topic } from "./hub";
import type { RunEvent } from "./stream";

interface Listener {
  topic: Topic;
  /** A run has grown. */
  run(event: RunEvent): void;
  /** Events may have been missed: ask again for what is shown. */
  missed(): void;
}

const PROBE_MS = 2000;
const FIRST_LOOK_MS = 1000;

class Live {
  reachable = $state(true);
  /** Grows each time that the server comes back; what failed to load meanwhile loads again. */
  returns = $state(0);

  #listeners = new Set<Listener>();
  #post: (message: ToHub) => void;
  #probe: ReturnType<typeof setInterval> | undefined;
  #heardOnce = false;

  constructor() {
    this.#post = connectHub((message) => this.#hear(message));
    onContact((contact) => this.#setReachable(contact !== "unreachable"));
    document.addEventListener("visibilitychange", () => this.#say());
    addEventListener("pagehide", () => this.#post({ type: "want", topic: null, url: apiUrl("live") }));
    addEventListener("pageshow", (event) => event.persisted && this.#say());
  }

  /** Listen to a project (or, with "", to all). Returns the way to stop. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    this.#heardOnce = false;
    this.#say();
    return () => {
      this.#listeners.delete(listener);
      this.#say();
    };
  }

  async retry(): Promise<void> {
    try {
      const response = await fetch(apiUrl("server"), { cache: "no-store" });
      if (response.status < 500) this.#setReachable(true);
    } catch {
      this.#setReachable(false);
    }
  }

  /** Ask for the stream anew, as after a sign-in. */
  renew(): void {
    this.#post({ type: "want", topic: null, url: apiUrl("live") });
    this.#say();
  }

  #say(): void {
    const topics = new Set([...this.#listeners].map((listener) => listener.topic));
    const [only] = topics;
    const topic = document.hidden || only === undefined ? null : topics.size === 1 ? only : "";
    this.#post({ type: "want", topic, url: apiUrl("live") });
  }

  #hear(message: FromHub): void {
    if (message.type === "run") {
      const name = `${message.event.entity}/${message.event.project}`;
      for (const { topic, run } of this.#listeners) if (topic === "" || topic === name) run(message.event);
    } else if (message.type === "open") {
      this.#setReachable(true);
      // The first time the page's own requests are still under way: look again a little later, not twice at once.
      const listeners = [...this.#listeners];
      const tellMissed = (): void => listeners.forEach((each) => this.#listeners.has(each) && each.missed());
      setTimeout(tellMissed, this.#heardOnce ? 0 : FIRST_LOOK_MS);
      this.#heardOnce = true;
    } else if (message.reason === "unreachable") {
      this.#setReachable(false);
    }
  }

  #setReachable(reachable: boolean): void {
    if (reachable === this.reachable) return;
    this.reachable = reachable;
    clearInterval(this.#probe);
    if (reachable) this.returns++;
    else this.#probe = setInterval(() => !document.hidden && void this.retry(), PROBE_MS);
  }
}

/** Reach the shared worker, or, where there is none, a hub of this tab's own. */
function connectHub(hear: (message: FromHub) => void): (message: ToHub) => void {
  let latest: ToHub | null = null;
  let post = ownHub(hear);
  if (typeof SharedWorker !== "undefined") {
    try {
      const worker = new SharedWorker(new URL("./worker.ts", import.meta.url), { type: "module", name: "kiseki-live" });
      worker.port.onmessage = ({ data }: MessageEvent<FromHub>) => hear(data);
      worker.onerror = () => {
        post = ownHub(hear);
        if (latest) post(latest);
      };
      post = (message) => worker.port.postMessage(message);
    } catch {
      // a browser that forbids shared workers keeps the hub of this tab
    }
  }
  return (message) => {
    latest = message;
    post(message);
  };
}

function ownHub(hear: (message: FromHub) => void): (message: ToHub) => void {
  const hub = new Hub();
  return (message) => hub.want(hear, message.topic, message.url);
}

export const live = new Live();
