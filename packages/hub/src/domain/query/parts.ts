import type { C2dQueueStore, DocumentStore } from "../ports.ts";
import type { Presence, IdentityRef } from "../services.ts";

/** What queries look at. */
export type QueryOptions = {
  documents: DocumentStore;
  connections: {
    presence(ref: IdentityRef): Presence;
    /** Identity keys. */
    connectedKeys(): Iterable<string>;
    /** Those, and the ones that were connected since the hub started. */
    seenKeys(): Iterable<string>;
  };
  /** For `cloudToDeviceMessageCount`. */
  c2d: Pick<C2dQueueStore, "count">;
};
