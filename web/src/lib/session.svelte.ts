/** Whether this browser may read the server, and what server it is. */
import { onContact } from "./api/client";
import { getServer, signIn, signOut } from "./api/endpoints";
import type { ServerInfo } from "./api/types";
import { live } from "./live/live.svelte";

class Session {
  server = $state.raw<ServerInfo | null>(null);
  state = $state<"unknown" | "in" | "out">("unknown");

  constructor() {
    onContact((contact) => {
      if (contact === "unauthorized") this.state = "out";
    });
  }

  async ask(): Promise<void> {
    try {
      this.server = await getServer();
      this.state = this.server.authenticated ? "in" : "out";
    } catch {
      // the banner says that the server is away; it is asked again when it is back
    }
  }

  /** Trade an API key for a session. Throws what the server says where it does not know the key. */
  async enter(key: string): Promise<void> {
    await signIn(key);
    await this.ask();
    live.renew();
  }

  async leave(): Promise<void> {
    await signOut();
    this.state = "out";
  }
}

export const session = new Session();
