import { describe, IotError } from "@hubwire/protocol";
import { Redirect } from "./redirect.ts";
import type { AmqpError } from "./rhea.ts";

/** AMQP conditions by IoT Hub's error names, then by HTTP status (as the official SDKs map them back). */
const byName: Readonly<Record<string, string>> = {
  DeviceMaximumQueueDepthExceeded: "amqp:resource-limit-exceeded",
  DeviceMaximumQueueSizeExceeded: "amqp:resource-limit-exceeded",
  IotHubMaxCbsTokenExceeded: "amqp:resource-limit-exceeded",
  IotHubQuotaExceeded: "com.microsoft:quota-exceeded",
  IotHubSuspended: "com.microsoft:iot-hub-suspended",
  DeviceMessageLockLost: "com.microsoft:message-lock-lost",
  DeviceAlreadyExists: "com.microsoft:device-already-exists",
  LinkCreationConflict: "amqp:link:stolen",
  MessageTooLarge: "amqp:link:message-size-exceeded",
};
const byStatus: Readonly<Record<number, string>> = {
  400: "com.microsoft:argument-error",
  401: "amqp:unauthorized-access",
  403: "amqp:not-allowed",
  404: "amqp:not-found",
  405: "amqp:not-allowed",
  409: "com.microsoft:precondition-failed",
  412: "com.microsoft:precondition-failed",
  413: "amqp:link:message-size-exceeded",
  429: "com.microsoft:device-container-throttled",
  500: "amqp:internal-error",
  501: "amqp:not-implemented",
  503: "com.microsoft:server-busy",
  504: "com.microsoft:timeout",
};

/** What a peer is told: the catalogue's face as an AMQP condition; what was not foreseen is told without details. */
export function toAmqpError(error: unknown): AmqpError {
  if (error instanceof Redirect) {
    return { condition: "amqp:link:redirect", description: error.message, info: error.info };
  }
  if (!(error instanceof IotError)) {
    return { condition: "amqp:internal-error", description: "The hub could not do this" };
  }
  const face = describe(error.code).http;
  const condition =
    special[error.code] ??
    (face && (byName[face.name] ?? byStatus[face.status])) ??
    "amqp:internal-error";
  return { condition, description: error.message };
}

const special: Readonly<Record<string, string>> = {
  "amqp.bad_frame": "amqp:connection:framing-error",
  "amqp.idle": "amqp:connection:forced",
  "amqp.limit": "amqp:resource-limit-exceeded",
  "amqp.out_of_range": "com.microsoft:argument-out-of-range",
  "hub.stopping": "amqp:connection:forced",
  "hub.busy": "com.microsoft:server-busy",
};

/** The numeric code of IoT Hub, for `$cbs` and `$management` answers. */
export const statusOf = (error: unknown): number =>
  (error instanceof IotError && describe(error.code).http?.status) || 500;
