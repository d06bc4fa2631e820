import type { ErrorCode } from "../errors/iot-error.ts";

const codes: readonly (ErrorCode | undefined)[] = [
  undefined,
  "mqtt.refused_protocol_version",
  "mqtt.refused_identifier",
  "mqtt.refused_unavailable",
  "mqtt.refused_credentials",
  "mqtt.refused_not_authorized",
];

/** The error code for a CONNACK return code that is not 0. */
export const refusalCode = (returnCode: number): ErrorCode =>
  codes[returnCode] ?? "mqtt.refused_unknown";
