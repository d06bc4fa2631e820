import { invalid } from "../calls/errors.ts";
import type { TelemetryBody } from "./telemetry-options.ts";

/** Whether the body is sent as JSON. */
export const isJsonBody = (body: TelemetryBody): boolean =>
  typeof body !== "string" && !(body instanceof Uint8Array);

/**
 * The bytes of a body. The caller's array is copied: it may be used again while the message waits or is sent again.
 * @throws IotError `argument.invalid` for what has no JSON form
 */
export function encodeBody(body: TelemetryBody): Uint8Array {
  if (typeof body === "string") return Buffer.from(body, "utf8");
  if (body instanceof Uint8Array) return Buffer.from(body);
  let text: string | undefined;
  try {
    text = JSON.stringify(body);
  } catch (cause) {
    throw invalid(`The body has no JSON form: ${cause instanceof Error ? cause.message : "error"}`);
  }
  // JSON.stringify is typed to give text always; of undefined and functions it gives undefined.
  if (text === undefined) throw invalid(`The body is ${typeof body}, which has no JSON form`);
  return Buffer.from(text, "utf8");
}
