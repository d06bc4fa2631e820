import { encodeUtf8, formatErrorEnvelope, IotError } from "@hubwire/protocol";

/** What goes back on `$iothub/twin/res/{status}/?$rid=…[&$version=…]`. */
export type DeviceAnswer = { status: number; version: number | undefined; body: Uint8Array };

export const emptyBody = new Uint8Array(0);

export const jsonBytes = (value: unknown): Uint8Array => encodeUtf8(JSON.stringify(value));

/**
 * A refusal as devices read it. The body must be JSON with `errorCode`: the Node SDK ignores the status in the topic
 * and tells success from failure by that member alone (observed in azure-iot-device 1.18).
 */
export function errorAnswer(error: unknown, wallMs: number, trackingId: string): DeviceAnswer {
  const code = error instanceof IotError ? error.code : "hub.internal";
  const message =
    error instanceof IotError ? error.message : "The hub could not carry out the request";
  const { status, body } = formatErrorEnvelope(code, message, trackingId, wallMs, "B");
  return { status, version: undefined, body: encodeUtf8(body) };
}
