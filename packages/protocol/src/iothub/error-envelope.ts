import { describe } from "../errors/iot-error.ts";
import type { ErrorCode } from "../errors/iot-error.ts";

/** How a refusal looks on the service REST API, and in the body of a twin answer over MQTT. */
export type ErrorEnvelope = {
  /** HTTP status. */
  status: number;
  /** The numeric code, such as 404001. */
  code: number;
  /** Value of the `iothub-errorcode` header. */
  name: string;
  headers: { "content-type": string; "iothub-errorcode": string };
  /** JSON text. */
  body: string;
};

/**
 * - A: `Message` = `ErrorCode:{Name};{text}`, which every SDK reads: identities and twins.
 * - B: `errorCode`, `message`, `trackingId`, `timestampUtc`: modules, and twin answers over MQTT.
 * - C: B as text inside the `Message` of A: direct methods.
 */
export type ErrorForm = "A" | "B" | "C";

/**
 * Writes an error the way IoT Hub does. A code without a face on HTTP is the hub's own trouble: 500001 ServerError.
 * @param trackingId what also stands in the hub's log
 * @param unixMs now
 * @param info extra members of forms B and C, such as the timeout that passed
 */
export function formatErrorEnvelope(
  code: ErrorCode,
  message: string,
  trackingId: string,
  unixMs: number,
  form: ErrorForm = "A",
  info: Readonly<Record<string, string>> | null = null,
): ErrorEnvelope {
  const face = describe(code).http ?? describe("hub.internal").http ?? serverError;
  const body = { A: formA, B: formB, C: formC }[form];
  return {
    status: face.status,
    code: face.code,
    name: face.name,
    headers: { "content-type": "application/json; charset=utf-8", "iothub-errorcode": face.name },
    body: JSON.stringify(body(face, message, trackingId, unixMs, info)),
  };
}

type Face = { status: number; code: number; name: string };
const serverError: Face = { status: 500, code: 500001, name: "ServerError" };
type Info = Readonly<Record<string, string>> | null;

const formA = (face: Face, message: string, trackingId: string, unixMs: number): object => ({
  Message: `ErrorCode:${face.name};${message}`,
  ExceptionMessage: `Tracking ID:${trackingId}-TimeStamp:${slashedTime(unixMs)}`,
});

const formB = (
  face: Face,
  message: string,
  trackingId: string,
  unixMs: number,
  info: Info,
): object => ({
  errorCode: face.code,
  message,
  trackingId,
  timestampUtc: new Date(unixMs).toISOString().replace("Z", "0000Z"),
  info,
});

const formC = (
  face: Face,
  message: string,
  trackingId: string,
  unixMs: number,
  info: Info,
): object => ({
  Message: JSON.stringify(formB(face, message, trackingId, unixMs, info)),
  ExceptionMessage: "",
});

/** `04/19/2017 13:29:00`, UTC. */
function slashedTime(unixMs: number): string {
  const iso = new Date(unixMs).toISOString();
  return `${iso.slice(5, 7)}/${iso.slice(8, 10)}/${iso.slice(0, 4)} ${iso.slice(11, 19)}`;
}
