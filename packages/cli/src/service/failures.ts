import { join } from "node:path";
import { IotError, catalog } from "@hubwire/protocol";
import type { ErrorCode } from "@hubwire/protocol";
import type { Target } from "../target.ts";

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

/** Why there was no answer, as exactly as the system knows. */
export function unreachable(target: Target, cause: unknown): IotError {
  if (cause instanceof IotError) return cause;
  const systemCode = (cause as NodeJS.ErrnoException).code ?? "";
  const code = causes[systemCode] ?? "service.unreachable";
  const address = `https://${target.hostName}:${target.httpsPort}`;
  const { localDirectory } = target;
  if (code === "transport.refused" && localDirectory !== undefined) {
    return new IotError(
      "cli.hub_not_running",
      `The hub in ${localDirectory} is not running: nothing listens on ${address}.`,
      { cause },
    );
  }
  if (code === "transport.tls_untrusted") {
    return new IotError(code, `The certificate of ${address} is not from ${trusted(target)}.`, {
      cause,
    });
  }
  return new IotError(code, `No answer from ${address}: ${reasonOf(cause)}`, { cause });
}

function trusted({ ca, caFile, localDirectory }: Target): string {
  if (ca === undefined) return "a CA that this command trusts (--ca adds one)";
  const isOwn = localDirectory !== undefined && caFile === join(localDirectory, "ca.pem");
  const guess = isOwn ? `: another program has the port of the hub in ${localDirectory}` : "";
  return `the CA in ${caFile ?? "use"}${guess}`;
}

/** A refused connection to a name with two addresses is told as several errors with an empty message. */
function reasonOf(cause: unknown): string {
  if (cause instanceof AggregateError) return cause.errors.map(reasonOf).join("; ");
  return cause instanceof Error ? cause.message : String(cause);
}

/**
 * What the hub answered, as an error. A Hubwire hub names the catalogue's code in `hubwire-errorcode`; elsewhere it is
 * `service.refused` with the hub's own words out of the error envelope (its forms A, B and C).
 */
export function refused(
  asked: { method: string; path: string },
  answer: { status: number; errorCode: string | undefined; text: string },
): IotError {
  const { status, errorCode, text } = answer;
  const words = wordsOf(text).slice(0, 500);
  if (errorCode !== undefined && Object.hasOwn(catalog, errorCode)) {
    return new IotError(
      errorCode as ErrorCode,
      words === "" ? `The hub answered ${status}` : words,
    );
  }
  const { method, path } = asked;
  const said = words === "" ? "" : `: ${words}`;
  return new IotError(
    "service.refused",
    `The hub answered ${method} ${path} with ${status}${said}`,
  );
}

function wordsOf(text: string): string {
  try {
    const outer = JSON.parse(text) as { Message?: string; message?: string };
    const words = outer.Message ?? outer.message ?? text;
    if (words.startsWith("{")) return (JSON.parse(words) as { message?: string }).message ?? words;
    return words.replace(/^ErrorCode:\w+;/u, "");
  } catch {
    // Not JSON: a proxy's page, or nothing at all. Show it as it is.
    return text;
  }
}
