import { IotError } from "../errors/iot-error.ts";
import { encodeUtf8 } from "../iothub/utf8.ts";
import type { JsonValue } from "../twin/json.ts";

/** Azure DPS docs, service limits: bytes of one message. */
export const dpsMessageBytesMax = 96 * 1024;

export type RegisterRequest = {
  registrationId: string;
  /** For the function of a custom allocation policy; any JSON value. */
  payload?: JsonValue | undefined;
  /** Base64 of a PKCS#10 request in DER, without PEM armour; asks for a certificate (preview). */
  csr?: string | undefined;
};

// oxlint-disable-next-line no-control-regex -- everything outside ASCII
const BEYOND_ASCII = /[^\u0000-\u007f]/g;

/**
 * The body of a registration request. ASCII only: beyond it everything is written as a `\u` escape, which every reader of JSON
 * understands, also those that take bytes for characters.
 * @throws IotError `argument.invalid`
 */
export function encodeRegisterBody(request: RegisterRequest): Uint8Array {
  const { registrationId, payload, csr } = request;
  let text: string;
  try {
    text = JSON.stringify({ registrationId, payload, csr });
  } catch (cause) {
    throw new IotError("argument.invalid", "The provisioning payload has no form in JSON", {
      cause,
    });
  }
  const bytes = encodeUtf8(toAscii(text));
  if (bytes.length <= dpsMessageBytesMax) return bytes;
  throw new IotError(
    "argument.invalid",
    `A registration request has up to ${dpsMessageBytesMax} bytes, this one has ${bytes.length}: shorten the payload`,
  );
}

/** What the official Node client sends when it only asks how things are: one space. */
export const statusRequestBody = (): Uint8Array => Uint8Array.of(0x20);

/** JSON text whose every character is one byte. */
export const toAscii = (json: string): string =>
  json.replace(BEYOND_ASCII, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
