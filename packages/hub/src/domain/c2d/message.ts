import { emptyApplicationProperties, formatC2dProperties } from "@hubwire/protocol";
import type { FeedbackRequest, MessageProperties } from "@hubwire/protocol";
import type { QueuedMessage } from "../ports.ts";
import type { IdentityRef } from "../services.ts";

/** What the queue keeps beside the body: plain JSON, so that every store can hold it. */
export type StoredProperties = {
  version: 1;
  system: MessageProperties["system"];
  /** Pairs, because a property may be named `__proto__`. */
  application: [name: string, value: string][];
};

export const storeProperties = ({ system, application }: MessageProperties): StoredProperties => ({
  version: 1,
  system,
  application: Object.entries(application),
});

export function readProperties(stored: unknown): MessageProperties {
  const { system, application } = stored as StoredProperties;
  const properties = { system, application: emptyApplicationProperties() };
  for (const [name, value] of application) properties.application[name] = value;
  return properties;
}

/** The property bag of the topic a message is delivered on. */
export const bagOf = (ref: IdentityRef, message: QueuedMessage): string =>
  formatC2dProperties(ref, readProperties(message.properties));

/** Whether a completed message waits for the feedback batch that reports it. */
export function wantsFeedback(message: QueuedMessage, outcome: "positive" | "negative"): boolean {
  const ack = (message.properties as StoredProperties).system.ack as FeedbackRequest | undefined;
  return ack === "full" || ack === outcome;
}
