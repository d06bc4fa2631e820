import { IotError } from "@hubwire/protocol";
import type { ErrorCode } from "@hubwire/protocol";
import type { CloseCause } from "@hubwire/transport";
import { isIotError } from "../calls/errors.ts";

const codes: Readonly<Record<number, ErrorCode>> = {
  1: "device.refused_protocol_version",
  2: "device.refused_identifier",
  3: "device.refused_unavailable",
  4: "device.refused_credentials",
  5: "device.refused_not_authorized",
};

/** What a CONNECT said about itself, for the message: IoT Hub gives a number and no reason. */
export type RefusedConnect = {
  hostName: string;
  clientId: string;
  wallMs: number;
  /** Unix milliseconds; `Infinity` when there is no token or its end is unknown. */
  tokenExpiresAtMs: number;
  /** What is known of the device's clock being wrong. */
  clockSkew: string | undefined;
};

/** CONNACK with a return code, in words a device owner can act on. */
export function refusalError(returnCode: number, connect: RefusedConnect): IotError {
  const { hostName, clientId, wallMs, tokenExpiresAtMs, clockSkew } = connect;
  const token =
    tokenExpiresAtMs === Infinity
      ? ""
      : `, token good until ${new Date(tokenExpiresAtMs).toISOString()}`;
  return new IotError(
    codes[returnCode] ?? "device.refused_unknown",
    `${hostName} refused ${clientId} with CONNACK ${returnCode} ` +
      `(device clock ${new Date(wallMs).toISOString()}${token})` +
      (clockSkew === undefined ? "" : `; ${clockSkew}`),
  );
}

/** How a connection ended, as an error. */
export function closeError(cause: CloseCause, connected: boolean): IotError {
  if (cause.by === "session") return new IotError(cause.code, cause.reason);
  const { error } = cause;
  if (isIotError(error)) return error;
  const when = connected ? "while connected" : "before it answered CONNECT";
  return error === undefined
    ? new IotError("device.connection_lost", `The hub closed the connection ${when}`)
    : new IotError("device.connection_lost", `The connection broke ${when}: ${error.message}`, {
        cause: error,
      });
}

/** What anything thrown on the way to a connection becomes. */
export const attemptError = (cause: unknown): IotError =>
  isIotError(cause)
    ? cause
    : new IotError("device.connection_lost", "The stream to the hub could not be opened", {
        cause,
      });
