import { IotError } from "@hubwire/protocol";
import type { DocumentStore } from "../ports.ts";
import type { Subscription, SubscriptionKind } from "../services.ts";

/**
 * Sessions at rest: the subscriptions of clients that connect with clean=0. They outlive drops, token renewals and hub
 * restarts, because official SDKs do not subscribe to twin topics again (observed in azure-iot-device 1.18).
 */
export class PersistentSessions {
  readonly #documents: DocumentStore;

  constructor(documents: DocumentStore) {
    this.#documents = documents;
  }

  /** Undefined when there is no session under this generation of the identity. */
  async load(key: string): Promise<readonly Subscription[] | undefined> {
    const document = await this.#documents.get("sessions", key);
    return document === undefined ? undefined : readSubscriptions(document.value);
  }

  /** Durable when it resolves. */
  async save(key: string, subscriptions: readonly Subscription[]): Promise<void> {
    await this.#documents.put("sessions", key, { version: 1, subscriptions }, "any");
  }

  async delete(key: string): Promise<void> {
    await this.#documents.delete("sessions", key, "any");
  }
}

const kinds: ReadonlySet<unknown> = new Set<SubscriptionKind>([
  "c2d",
  "methods",
  "twinResponses",
  "desired",
  "moduleInputs",
  "credentials",
]);

function readSubscriptions(value: unknown): readonly Subscription[] {
  const { version, subscriptions } = value as { version?: unknown; subscriptions?: unknown };
  if (version !== 1 || !Array.isArray(subscriptions)) {
    throw new IotError(
      "hub.data_newer_format",
      "A session document has a format this hub does not know",
    );
  }
  // A kind that a later version knew and this one does not is simply not served.
  return (subscriptions as Subscription[]).filter(({ kind }) => kinds.has(kind));
}
