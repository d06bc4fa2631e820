import { IotError } from "@hubwire/protocol";
import type { ErrorCode } from "@hubwire/protocol";

/** Node's names for what goes wrong before there is an answer. */
const causes: Readonly<Record<string, ErrorCode>> = {
  ENOTFOUND: "transport.dns",
  EAI_AGAIN: "transport.dns",
  ECONNREFUSED: "transport.refused",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "transport.tls_untrusted",
  UNABLE_TO_GET_ISSUER_CERT: "transport.tls_untrusted",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "transport.tls_untrusted",
  SELF_SIGNED_CERT_IN_CHAIN: "transport.tls_untrusted",
  DEPTH_ZERO_SELF_SIGNED_CERT: "transport.tls_untrusted",
  CERT_SIGNATURE_FAILURE: "transport.tls_untrusted",
  ERR_TLS_CERT_ALTNAME_INVALID: "transport.tls_name_mismatch",
  CERT_HAS_EXPIRED: "transport.tls_expired",
  CERT_NOT_YET_VALID: "transport.tls_not_yet_valid",
};

/** Why there was no answer from `address`, as exactly as the system knows. */
export function unreachable(address: string, cause: unknown): IotError {
  if (cause instanceof IotError) return cause;
  const code = causes[systemCodeOf(cause)] ?? "service.unreachable";
  const message =
    code === "transport.tls_untrusted"
      ? `The certificate of ${address} is not from a CA that is trusted here.`
      : `No answer from ${address}: ${reasonOf(cause)}`;
  return new IotError(code, message, { cause });
}

const systemCodeOf = (cause: unknown): string =>
  typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : "";

/** A refused connection to a name with two addresses is told as several errors with an empty message. */
function reasonOf(cause: unknown): string {
  if (cause instanceof AggregateError) return cause.errors.map(reasonOf).join("; ");
  return cause instanceof Error ? cause.message : String(cause);
}
