import { describe, formatErrorEnvelope, IotError } from "@hubwire/protocol";
import type { ErrorCode, ErrorForm } from "@hubwire/protocol";
import type { RestResponse } from "./exchange.ts";

/** How an error is to look, when it is not form A with nothing beside it. */
export type FailureFace = {
  form?: ErrorForm;
  info?: Readonly<Record<string, string>>;
  headers?: Readonly<Record<string, string>>;
};

/** An error that knows its own face on the wire. */
export class Failure extends Error {
  override readonly name = "Failure";
  readonly error: unknown;
  readonly face: FailureFace;
  constructor(error: unknown, face: FailureFace) {
    super("a request failed", { cause: error });
    this.error = error;
    this.face = face;
  }
}

/** The names of an error, for an answer whose body is its own. */
export const headersOf = (code: ErrorCode): Record<string, string> => ({
  "iothub-errorcode": describe(code).http?.name ?? "ServerError",
  "hubwire-errorcode": code,
});

export type ToldFailure = { response: RestResponse; error: unknown; code: string };

/**
 * Translates an error into IoT Hub's envelope. `hubwire-errorcode` carries the catalogue's code, which tells apart what
 * `iothub-errorcode` does not; what the hub did not foresee is told without details.
 */
export function tellFailure(thrown: unknown, trackingId: string, wallMs: number): ToldFailure {
  const { error, face } = thrown instanceof Failure ? thrown : { error: thrown, face: {} };
  const known = error instanceof IotError && describe(error.code).http !== undefined;
  const code = known ? error.code : "hub.internal";
  const message = known ? error.message : "The hub could not carry out the request";
  const { form = "A", info = null } = face;
  const envelope = formatErrorEnvelope(code, message, trackingId, wallMs, form, info);
  const response = {
    status: envelope.status,
    headers: {
      ...envelope.headers,
      "hubwire-errorcode": code,
      "cache-control": "no-store",
      ...face.headers,
    },
    body: envelope.body,
  };
  return { response, error, code };
}
