/** Shares one event stream among the tabs of a browser: each says which project it shows, and hears only of that. */
import { followStream, type RunEvent } from "./stream";

/** `entity/project`, or "" for all projects. */
export type Topic = string;

export type FromHub =
  | { type: "open" }
  | { type: "down"; reason: "unreachable" | "unauthorized" }
  | { type: "run"; event: RunEvent };

export type ToHub = { type: "want"; topic: Topic | null; url: string };

type Deliver = (message: FromHub) => void;

export class Hub {
  #wants = new Map<Deliver, Topic>();
  #address = "";
  #close: (() => void) | null = null;
  #status: FromHub | null = null;

  /** Set what one tab wants to hear; null when it is hidden or gone. */
  want(deliver: Deliver, topic: Topic | null, url: string): void {
    if (topic === null) this.#wants.delete(deliver);
    else this.#wants.set(deliver, topic);
    const topics = new Set(this.#wants.values());
    if (topics.size === 0) {
      this.#stop();
      return;
    }
    const [only] = topics;
    const address = topics.size === 1 && only ? `${url}?project=${encodeURIComponent(only)}` : url;
    if (address !== this.#address) this.#start(address);
    else if (topic !== null && this.#status) deliver(this.#status);
  }

  #start(address: string): void {
    this.#stop();
    this.#address = address;
    const toAll = (message: FromHub): void => {
      this.#status = message;
      for (const deliver of this.#wants.keys()) deliver(message);
    };
    this.#close = followStream(address, {
      open: () => toAll({ type: "open" }),
      down: (reason) => toAll({ type: "down", reason }),
      run: (event) => {
        const name = `${event.entity}/${event.project}`;
        for (const [deliver, topic] of this.#wants) if (topic === "" || topic === name) deliver({ type: "run", event });
      },
    });
  }

  #stop(): void {
    this.#close?.();
    this.#close = null;
    this.#address = "";
    this.#status = null;
  }
}
