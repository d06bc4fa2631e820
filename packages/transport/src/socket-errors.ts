import { IotError } from "@hubwire/protocol";
import type { ErrorCode } from "@hubwire/protocol";
import type { PeerInfo } from "./stream.ts";

/** What Node puts on the errors of sockets and TLS. */
export type SocketError = Error & { code?: string; errors?: readonly Error[]; reason?: string };

/** System error codes of `connect`, `read` and `write`, as the causes people look for. */
const systemCauses: Readonly<Record<string, ErrorCode>> = {
  ENOTFOUND: "transport.dns",
  EAI_AGAIN: "transport.dns",
  EAI_FAIL: "transport.dns",
  EAI_NODATA: "transport.dns",
  EAI_NONAME: "transport.dns",
  ECONNREFUSED: "transport.refused",
  EHOSTUNREACH: "transport.unreachable",
  ENETUNREACH: "transport.unreachable",
  EHOSTDOWN: "transport.unreachable",
  ENETDOWN: "transport.unreachable",
  EADDRNOTAVAIL: "transport.unreachable",
  EACCES: "transport.unreachable",
  EPERM: "transport.unreachable",
  ETIMEDOUT: "transport.timeout",
  ECONNRESET: "transport.reset",
  ECONNABORTED: "transport.reset",
  EPIPE: "transport.reset",
  ENOTCONN: "transport.reset",
};

/** OpenSSL's reasons, as in `ERR_SSL_{reason}`: an alert is the peer's verdict, the others are this side's. */
const rejectedCertificate =
  /ALERT_(NO_CERTIFICATE|BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_\w+|UNKNOWN_CA|ACCESS_DENIED)$/;
const noCommonVersion =
  /(UNSUPPORTED_PROTOCOL|ALERT_PROTOCOL_VERSION|WRONG_VERSION_NUMBER|WRONG_SSL_VERSION|UNKNOWN_PROTOCOL|HTTP_REQUEST|NO_PROTOCOLS_AVAILABLE|RECORD_LAYER_FAILURE|PACKET_LENGTH_TOO_LONG|BAD_RECORD_TYPE)$/;

/** The cause behind a socket's error code; undefined when Hubwire has no better word for it. */
export function socketCause(code: string | undefined): ErrorCode | undefined {
  if (code === undefined) return undefined;
  const system = systemCauses[code];
  if (system !== undefined) return system;
  if (rejectedCertificate.test(code)) return "transport.client_certificate_rejected";
  if (noCommonVersion.test(code)) return "transport.tls_protocol";
  if (code.startsWith("ERR_SSL_") || code === "EPROTO" || code.startsWith("ERR_TLS_"))
    return "transport.tls_handshake";
  return undefined;
}

/** An error's message, and of OpenSSL's long lines the part that says something. */
export function wordsOf(error: SocketError): string {
  if (error.errors !== undefined && error.errors.length > 0) {
    // Each address that was tried has its own reason.
    return error.errors.map((each) => each.message).join("; ");
  }
  const reason = /:SSL routines:[^:]*:([^:]+):/.exec(error.message)?.[1];
  return reason ?? (error.message || String(error.code));
}

/** The error of a stream that was open: cut, timed out by TCP, or closed by a TLS alert. */
export function streamError(error: SocketError, peer: PeerInfo): Error {
  const code = socketCause(error.code) ?? "transport.reset";
  const what = code === "transport.tls_handshake" ? "transport.reset" : code;
  return new IotError(what, `the connection with ${peer.address} broke: ${wordsOf(error)}`, {
    cause: error,
  });
}
