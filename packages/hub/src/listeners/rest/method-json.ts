import {
  encodeUtf8,
  IotError,
  methodConnectTimeoutSDefault,
  methodResponseTimeoutSDefault,
} from "@hubwire/protocol";
import type { JsonObject } from "@hubwire/protocol";
import { parseLossless } from "../../domain/methods/index.ts";
import type { Methods } from "../../domain/services.ts";
import { member, parseBody, requireObject, textMember } from "./json-body.ts";

const none = new Uint8Array(0);

/**
 * Reads `{"methodName","responseTimeoutInSeconds","connectTimeoutInSeconds","payload"}`.
 * @throws IotError `argument.invalid`, `json.*`
 */
export function parseMethodCall(bytes: Uint8Array): Parameters<Methods["invoke"]>[1] {
  const body = requireObject(parseBody(bytes), "The method call");
  const methodName = textMember(body, "methodName");
  if (methodName === undefined) throw new IotError("argument.invalid", "methodName is missing");
  return {
    methodName,
    payload: member(body, "payload") === undefined ? none : payloadOf(bytes),
    responseTimeoutS: seconds(body, "responseTimeoutInSeconds", methodResponseTimeoutSDefault),
    connectTimeoutS: seconds(body, "connectTimeoutInSeconds", methodConnectTimeoutSDefault),
  };
}

/** The payload's numbers go to the device as they were written, even those that a double cannot hold. */
function payloadOf(bytes: Uint8Array): Uint8Array {
  const { payload } = parseLossless(bytes) as { payload: unknown };
  return encodeUtf8(JSON.stringify(payload));
}

function seconds(body: JsonObject, name: string, fallback: number): number {
  const value = member(body, name);
  if (value === undefined) return fallback;
  if (typeof value === "number") return value;
  throw new IotError("argument.invalid", `${name} must be a number of seconds`);
}

/** .NET's way to write a time span, `00:00:30`: what 404103 tells about the connect timeout. */
export function timeSpan(seconds: number): string {
  const two = (value: number): string => String(Math.floor(value)).padStart(2, "0");
  return `${two(seconds / 3600)}:${two((seconds / 60) % 60)}:${two(seconds % 60)}`;
}
