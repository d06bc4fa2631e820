import type { Attributes, Tracer } from "@opentelemetry/api";
import type { DeviceRef } from "../observe/channels.ts";
import type { Listeners } from "./listeners.ts";

/** `SpanKind` and `SpanStatusCode` of the API, which is imported for its types only. */
const server = 1;
const client = 2;
const internal = 0;
const failed = 2;

/**
 * One span per direct method and twin request, and one per outage: from the loss of a connection until the next one.
 * Telemetry gets none: there is too much of it.
 */
export function recordSpans(
  tracer: Tracer,
  listeners: Listeners,
  attributesOf: (device: DeviceRef) => Attributes,
): void {
  const span = (
    name: string,
    kind: 0 | 1 | 2,
    device: DeviceRef,
    attributes: Attributes,
    tookMs: number,
    failure: string | undefined,
  ): void => {
    const endMs = Date.now();
    const made = tracer.startSpan(name, {
      kind,
      startTime: endMs - tookMs,
      attributes: { ...attributesOf(device), ...attributes },
    });
    if (failure !== undefined) made.setStatus({ code: failed, message: failure });
    made.end(endMs);
  };

  listeners.on("method", ({ device, name, status, tookMs }) => {
    const failure = status >= 500 && status <= 599 ? `answered ${status}` : undefined;
    span(`method ${name}`, server, device, { method: name, status }, tookMs, failure);
  });
  listeners.on("twin", ({ device, what, status, tookMs }) => {
    if (what !== "get" && what !== "report") return;
    const isGood = status >= 200 && status <= 299;
    const failure = isGood ? undefined : status === 0 ? "no answer" : `answered ${status}`;
    span(`twin ${what}`, client, device, { operation: what, status }, tookMs, failure);
  });

  const outages = new Map<string, { sinceMs: number; code: string }>();
  const keyOf = (device: DeviceRef): string => JSON.stringify(attributesOf(device));
  const ended = (device: DeviceRef, failure: string | undefined): void => {
    const key = keyOf(device);
    const outage = outages.get(key);
    if (outage === undefined) return;
    outages.delete(key);
    const tookMs = Date.now() - outage.sinceMs;
    span("outage", internal, device, { "error.type": outage.code }, tookMs, failure);
  };
  listeners.on("disconnected", ({ device, cause }) => {
    outages.set(keyOf(device), { sinceMs: Date.now(), code: cause.code });
  });
  listeners.on("connected", ({ device }) => ended(device, undefined));
  listeners.on("closed", ({ device }) => ended(device, "closed while not connected"));
}
