import { hubErrorCodes, IotError } from "@hubwire/protocol";
import type { CertificateAnswer, ErrorCode } from "@hubwire/protocol";

export type CertificateRefusal = CertificateAnswer & { type: "refused" };

/** The two that speak of an earlier request. */
export const operationPending = 409004;
export const operationActive = 409005;

/** What the hub said, with everything in it that helps. */
export function refusalError(what: string, refusal: CertificateRefusal): IotError {
  const { errorCode, message, requestId, operationExpiresAtMs } = refusal;
  const { credentialError, credentialMessage } = refusal;
  const name = (hubErrorCodes as Readonly<Record<number, string>>)[errorCode];
  const said = [
    message,
    credentialError ?? "",
    credentialMessage ?? "",
    requestId === undefined ? "" : `request ${requestId}`,
    operationExpiresAtMs === undefined
      ? ""
      : `until ${new Date(operationExpiresAtMs).toISOString()}`,
  ].filter((text) => text !== "");
  const code = [String(errorCode), ...(name === undefined ? [] : [name])].join(" ");
  const text = `${what}: the hub answered ${[code, ...said].join(", ")}`;
  return new IotError(codeOf(errorCode), text);
}

function codeOf(errorCode: number): ErrorCode {
  if (errorCode === operationPending) return "certificate.pending";
  if (errorCode === operationActive) return "certificate.active";
  const status = Math.floor(errorCode / 1000);
  if (status === 429) return "certificate.throttled";
  return status >= 500 && status <= 599 ? "certificate.unavailable" : "certificate.refused";
}
