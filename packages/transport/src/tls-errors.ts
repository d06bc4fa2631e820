import { IotError } from "@hubwire/protocol";
import type { ErrorCode } from "@hubwire/protocol";
import { socketCause, wordsOf } from "./socket-errors.ts";
import type { SocketError } from "./socket-errors.ts";

/** What is known about an attempt when it fails. */
export type Attempt = {
  host: string;
  port: number;
  /** The name asked for in SNI and looked for in the certificate. */
  serverName: string;
  phase:
    | "name resolution"
    | "the TCP connection"
    | "the connection to the proxy"
    | "the proxy's handshake"
    | "the TLS handshake"
    | "the WebSocket handshake";
  /** For messages: empty, or which proxy is on the way. */
  via?: string;
  /** The leaf the server presented, if it came so far. */
  presented: PresentedCertificate | undefined;
};

/** The parts of a certificate that its error message needs. */
type PresentedCertificate = {
  subject: string;
  issuer: string;
  /** subjectAltName as Node formats it. */
  names: string | undefined;
  validFrom: string;
  validTo: string;
};

/** OpenSSL's verification results (`X509_V_ERR_…` without the prefix); every other one is "untrusted". */
const verificationCauses: Readonly<Record<string, ErrorCode>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: "transport.tls_self_signed",
  SELF_SIGNED_CERT_IN_CHAIN: "transport.tls_untrusted",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "transport.tls_untrusted",
  UNABLE_TO_GET_ISSUER_CERT: "transport.tls_untrusted",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "transport.tls_untrusted",
  CERT_UNTRUSTED: "transport.tls_untrusted",
  CERT_REJECTED: "transport.tls_untrusted",
  CERT_REVOKED: "transport.tls_untrusted",
  CERT_CHAIN_TOO_LONG: "transport.tls_untrusted",
  CERT_SIGNATURE_FAILURE: "transport.tls_untrusted",
  INVALID_CA: "transport.tls_untrusted",
  INVALID_PURPOSE: "transport.tls_untrusted",
  PATH_LENGTH_EXCEEDED: "transport.tls_untrusted",
  CERT_HAS_EXPIRED: "transport.tls_expired",
  CERT_NOT_YET_VALID: "transport.tls_not_yet_valid",
  HOSTNAME_MISMATCH: "transport.tls_name_mismatch",
  ERR_TLS_CERT_ALTNAME_INVALID: "transport.tls_name_mismatch",
};

/** Why no TLS connection came about, in words that say what was asked for and what was found. */
export function connectError(error: SocketError, attempt: Attempt): IotError {
  const code = causeOf(error, attempt);
  return new IotError(code, describeFailure(code, error, attempt), { cause: error });
}

export function connectTimeout(timeoutMs: number, attempt: Attempt): IotError {
  const where = whereOf(attempt);
  const isProxy =
    attempt.phase === "the connection to the proxy" || attempt.phase === "the proxy's handshake";
  return new IotError(
    isProxy ? "transport.proxy_timeout" : "transport.timeout",
    `no connection to ${where} within ${timeoutMs} ms: still in ${attempt.phase}`,
  );
}

const whereOf = ({ host, port, via = "" }: Attempt): string => `${host}:${port}${via}`;

function causeOf(error: SocketError, attempt: Attempt): ErrorCode {
  const verification = verificationCauses[error.code ?? ""];
  if (verification !== undefined) return verification;
  const cause = socketCause(error.code);
  if (cause !== undefined) return cause;
  return attempt.phase === "the TLS handshake"
    ? "transport.tls_handshake"
    : "transport.unreachable";
}

type Describe = (error: SocketError, attempt: Attempt, where: string) => string;

const untrusted: Describe = (error, { presented }, where) =>
  presented === undefined
    ? `the certificate of ${where} is not trusted (${error.code})`
    : `the certificate of ${where} (${presented.subject}), issued by ${presented.issuer}, is not trusted (${error.code})`;

const outOfDate: Describe = (error, { presented }, where) => {
  const deviceTime = new Date().toISOString();
  const what = `a certificate in the chain of ${where} is not valid at this device's time, ${deviceTime} (${error.code})`;
  if (presented === undefined) return what;
  return `${what}; the server's own is valid from ${presented.validFrom} to ${presented.validTo}`;
};

const descriptions: Partial<Record<ErrorCode, Describe>> = {
  "transport.dns": (error, { host }) => `the name ${host} could not be resolved (${error.code})`,
  "transport.tls_untrusted": untrusted,
  "transport.tls_self_signed": untrusted,
  "transport.tls_expired": outOfDate,
  "transport.tls_not_yet_valid": outOfDate,
  "transport.tls_name_mismatch": (_, { serverName, presented }, where) => {
    const names = presented?.names ?? presented?.subject ?? "other names";
    return `the certificate of ${where} is not for ${serverName} but for ${names}`;
  },
  "transport.client_certificate_rejected": (error, _, where) =>
    `${where} refused the client certificate: ${wordsOf(error)}`,
  "transport.reset": (error, { phase }, where) =>
    `${where} closed the connection during ${phase}: ${wordsOf(error)}`,
};

function describeFailure(code: ErrorCode, error: SocketError, attempt: Attempt): string {
  const where = whereOf(attempt);
  const describe = descriptions[code];
  if (describe !== undefined) return describe(error, attempt, where);
  return `no connection to ${where}, during ${attempt.phase}: ${wordsOf(error)}`;
}
