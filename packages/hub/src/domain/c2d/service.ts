import {
  c2dBytesMax,
  c2dQueueMessagesMax,
  c2dTopic,
  c2dTtlMsDefault,
  c2dTtlMsMax,
  feedbackRequests,
  formatC2dProperties,
  IotError,
  messageIdCharactersMax,
  telemetryMessageSize,
} from "@hubwire/protocol";
import type { Clock } from "@hubwire/transport";
import type { HubMetrics } from "../observe.ts";
import type { C2dQueueStore } from "../ports.ts";
import { generationKey } from "../services.ts";
import type { C2dMessage, Identities, IdentityRef, ServiceC2d } from "../services.ts";
import type { C2dDelivery } from "./delivery.ts";
import { storeProperties } from "./message.ts";

export type ServiceC2dOptions = {
  store: C2dQueueStore;
  identities: Pick<Identities, "find">;
  delivery: C2dDelivery;
  clock: Pick<Clock, "wallMs">;
  metrics: HubMetrics;
  /** Ids for messages that were sent without one. */
  newMessageId: () => string;
};

/** The service's side of cloud-to-device messages. A disabled device's queue takes messages as any other. */
export const createServiceC2d = (options: ServiceC2dOptions): ServiceC2d => ({
  async send(deviceId, message) {
    const { store, delivery, metrics } = options;
    const nowMs = options.clock.wallMs();
    const ref: IdentityRef = { deviceId, moduleId: undefined };
    const prepared = prepare(ref, message, nowMs, options.newMessageId);
    const queue = await queueOf(ref, options);
    const expiresAtMs = message.expiresAtMs ?? nowMs + c2dTtlMsDefault;
    const row = {
      enqueuedAtMs: nowMs,
      expiresAtMs,
      properties: prepared.stored,
      body: message.body,
    };
    let result = await store.enqueue(queue, row, c2dQueueMessagesMax);
    if (!result.ok) {
      // What is past its time does not count, whether or not a sweep has come by.
      await delivery.expire(queue);
      result = await store.enqueue(queue, row, c2dQueueMessagesMax);
    }
    if (!result.ok) {
      throw new IotError(
        "quota.queue_full",
        `${deviceId} has ${c2dQueueMessagesMax} cloud-to-device messages waiting already`,
      );
    }
    metrics.c2dEnqueued++;
    delivery.wake(queue);
    return { messageId: prepared.messageId, sequence: result.sequence };
  },

  async purge(deviceId) {
    const queue = await queueOf({ deviceId, moduleId: undefined }, options);
    return { purged: await options.delivery.purge(queue) };
  },

  async count(deviceId, generationId) {
    const ref = { deviceId, moduleId: undefined };
    return options.store.count(
      generationId === undefined ? await queueOf(ref, options) : generationKey(ref, generationId),
    );
  },
});

async function queueOf(ref: IdentityRef, options: ServiceC2dOptions): Promise<string> {
  const identity = await options.identities.find(ref);
  if (identity === undefined) {
    throw new IotError(
      "device.not_found",
      `No device ${JSON.stringify(ref.deviceId)} is registered`,
    );
  }
  return generationKey(ref, identity.generationId);
}

/** Everything that could keep the message from being delivered later is refused to its sender now. */
function prepare(
  ref: IdentityRef,
  message: C2dMessage,
  nowMs: number,
  newMessageId: () => string,
): { messageId: string; stored: ReturnType<typeof storeProperties> } {
  const { ack, expiresAtMs, body } = message;
  if (ack !== undefined && !feedbackRequests.some((known) => known === ack)) {
    throw new IotError("argument.invalid", `ack is one of ${feedbackRequests.join(", ")}`);
  }
  checkExpiry(expiresAtMs, nowMs);
  const messageId = message.properties.system.messageId ?? newMessageId();
  if (messageId === "" || messageId.length > messageIdCharactersMax) {
    throw new IotError(
      "argument.invalid",
      `A message id has 1 to ${messageIdCharactersMax} characters`,
    );
  }
  const system = { ...message.properties.system, messageId };
  if (ack !== undefined) system.ack = ack;
  if (expiresAtMs !== undefined) system.absoluteExpiryTime = new Date(expiresAtMs).toISOString();
  const properties = { system, application: message.properties.application };
  const bytes = telemetryMessageSize(body.length, properties);
  if (bytes > c2dBytesMax) {
    throw new IotError(
      "message.too_large",
      `The message counts ${bytes} bytes with its properties; the limit is ${c2dBytesMax}`,
    );
  }
  c2dTopic(ref, formatC2dProperties(ref, properties));
  return { messageId, stored: storeProperties(properties) };
}

function checkExpiry(expiresAtMs: number | undefined, nowMs: number): void {
  if (expiresAtMs === undefined) return;
  const fits = expiresAtMs > nowMs && expiresAtMs <= nowMs + c2dTtlMsMax;
  if (Number.isFinite(expiresAtMs) && fits) return;
  throw new IotError(
    "message.bad_expiry",
    `The message expires at ${expiresAtMs} ms; it must lie after ${nowMs} ms and at most two days ahead`,
  );
}
