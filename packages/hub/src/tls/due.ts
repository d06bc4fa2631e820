import { X509Certificate } from "node:crypto";
import { isPair } from "./issue.ts";
import { isAddress } from "./names.ts";
import type { PemPair } from "./pem-pair.ts";

/** A certificate is renewed when less is left. */
const renewBeforeMs = 30 * 86_400_000;

/** Why a server certificate has to be issued again, in words; undefined when it serves. */
export function whyDue(
  server: PemPair,
  authority: PemPair,
  names: readonly string[],
  wallMs: number,
): string | undefined {
  if (!isPair(server)) return "it does not belong to its key";
  const certificate = new X509Certificate(server.cert);
  const issuer = new X509Certificate(authority.cert);
  if (!certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey)) {
    return "another CA issued it";
  }
  if (!hasExactly(certificate, names)) return "the hub's names changed";
  if (Date.parse(certificate.validFrom) > wallMs) return "it is not valid yet";
  // An authority near its own end gives certificates that are due from the first day: once a start is enough.
  const leftMs = Date.parse(certificate.validTo) - wallMs;
  const isCapped = certificate.validTo === issuer.validTo;
  if (leftMs < (isCapped ? 0 : renewBeforeMs)) return `it ends on ${certificate.validTo}`;
  return undefined;
}

/** Node writes the names as `DNS:a, DNS:b, IP Address:1.2.3.4`. */
function hasExactly(certificate: X509Certificate, names: readonly string[]): boolean {
  const entries = (certificate.subjectAltName ?? "").split(", ");
  const dns = new Set(
    entries.flatMap((entry) => (entry.startsWith("DNS:") ? [entry.slice(4)] : [])),
  );
  const isListed = (name: string): boolean =>
    isAddress(name) ? certificate.checkIP(name) !== undefined : dns.has(name);
  return entries.length === names.length && names.every(isListed);
}
