import type { DeviceEvent } from "@hubwire/service/amqp";
import { shown } from "./output.ts";

/** Which properties a line for people shows. */
export const shownProperties = ["app", "system", "all", "none"] as const;
export type ShownProperties = (typeof shownProperties)[number];

const jsonType = /^application\/(?:[\w.+-]+\+)?json(?:;|$)/u;
const printable = /^[\t\n\r\u0020-\u007e\u00a0-\uffff]*$/u;

type BodyMembers = { body?: unknown; bodyBase64?: string };

/** `body` is parsed JSON or text when the content type says so and the bytes agree; without a type printable text comes both ways. */
function bodyMembers({ body: bytes, system }: DeviceEvent): BodyMembers {
  const type = system.contentType?.toLowerCase().trim() ?? "";
  const encoding = system.contentEncoding?.toLowerCase() ?? "utf-8";
  const bodyBase64 = Buffer.from(bytes).toString("base64");
  if (encoding !== "utf-8" && encoding !== "utf8") return { bodyBase64 };
  const text = readText(bytes);
  if (text === undefined) return { bodyBase64 };
  if (jsonType.test(type)) return readJson(text) ?? { bodyBase64 };
  if (type.startsWith("text/")) return { body: text };
  return type === "" && printable.test(text) ? { body: text, bodyBase64 } : { bodyBase64 };
}

function readText(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function readJson(text: string): { body: unknown } | undefined {
  try {
    return { body: JSON.parse(text) as unknown };
  } catch {
    return undefined;
  }
}

/** An event for programs: everything that is known of it. */
export function eventJson(event: DeviceEvent): Record<string, unknown> {
  const { annotations } = event;
  return {
    partition: event.partitionId,
    sequenceNumber: event.sequenceNumber,
    offset: event.offset,
    enqueuedTimeUtc: event.enqueuedTime.toISOString(),
    deviceId: event.deviceId,
    moduleId: event.moduleId,
    generationId: annotations["iothub-connection-auth-generation-id"],
    authMethod: parsed(annotations["iothub-connection-auth-method"]),
    messageSource: event.messageSource,
    modelId: annotations["iothub-interface-id"],
    properties: event.properties,
    systemProperties: event.system,
    annotations,
    ...bodyMembers(event),
  };
}

function parsed(text: unknown): unknown {
  if (typeof text !== "string") return text;
  return readJson(text)?.body ?? text;
}

/** `2026-01-01T00:00:00.000Z thermostat-1 alert=false {"temperature":21.5}` */
export function describeEvent(event: DeviceEvent, which: ShownProperties): string {
  const { deviceId = "-", moduleId, messageSource } = event;
  const { body, bodyBase64 } = bodyMembers(event);
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const properties = {
    ...(which === "system" || which === "all" ? event.system : {}),
    ...(which === "app" || which === "all" ? event.properties : {}),
  };
  return [
    event.enqueuedTime.toISOString(),
    shown(moduleId === undefined ? deviceId : `${deviceId}/${moduleId}`),
    ...(messageSource === "Telemetry" || messageSource === undefined
      ? []
      : [shown(`(${messageSource})`)]),
    ...Object.entries(properties).map(([name, value]) => shown(`${name}=${value}`)),
    body === undefined ? `(base64) ${bodyBase64 ?? ""}` : shown(text),
  ].join(" ");
}
