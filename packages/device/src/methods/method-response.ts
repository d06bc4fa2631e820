import { IotError, methodPayloadBytesMax } from "@hubwire/protocol";
import type { ErrorCode } from "@hubwire/protocol";
import type { MethodResponse } from "./method.ts";

/** An answer ready to send. */
export type EncodedResponse = { status: number; body: Uint8Array };

const empty = new Uint8Array(0);

/** @throws IotError `device.method_bad_response`: no object, a status that is no 32-bit integer, a payload that is no JSON or too large */
export function encodeResponse(name: string, response: MethodResponse | void): EncodedResponse {
  if (response === undefined || response === null) return { status: 200, body: empty };
  if (typeof response !== "object") throw bad(name, `${typeof response}, not { status, payload }`);
  const { status = 200, payload } = response;
  if ((status | 0) !== status) throw bad(name, `the status ${String(status)}`);
  if (payload === undefined) return { status, body: empty };
  let text: string | undefined;
  try {
    text = JSON.stringify(payload) as string | undefined;
  } catch (cause) {
    throw bad(name, "a payload with no JSON form", cause);
  }
  if (text === undefined) throw bad(name, "a payload with no JSON form");
  const body = Buffer.from(text, "utf8");
  if (body.length <= methodPayloadBytesMax) return { status, body };
  throw bad(name, `${body.length} bytes, more than ${methodPayloadBytesMax}`);
}

/** The body of an answer that the client gives by itself: the code is for programs, the message for people. */
export const say = (code: ErrorCode, message: string): Uint8Array =>
  Buffer.from(JSON.stringify({ code, message }), "utf8");

function bad(name: string, what: string, cause?: unknown): IotError {
  const options = cause === undefined ? undefined : { cause };
  return new IotError("device.method_bad_response", `Method ${name} returned ${what}`, options);
}
