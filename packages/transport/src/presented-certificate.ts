import type { TLSSocket } from "node:tls";
import type { Attempt } from "./tls-errors.ts";

/**
 * What the server showed, for the words of an error.
 *
 * Not by `getPeerX509Certificate`: in Node 24, `getPeerCertificate`, which Node calls next, then returns nothing.
 */
export function presentedBy(socket: TLSSocket): Attempt["presented"] {
  const certificate = socket.getPeerCertificate();
  // Typed as always there; an anonymous peer has none.
  if ((certificate as Partial<typeof certificate> | null)?.raw === undefined) return undefined;
  return {
    subject: nameOf(certificate.subject),
    issuer: nameOf(certificate.issuer),
    names: certificate.subjectaltname,
    validFrom: certificate.valid_from,
    validTo: certificate.valid_to,
  };
}

/** `CN=…, O=…`; Node gives repeated parts as a list. */
function nameOf(name: object): string {
  const parts = Object.entries(name) as [string, string | string[]][];
  return parts.map(([part, value]) => `${part}=${String(value)}`).join(", ");
}
