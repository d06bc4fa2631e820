import type { TlsIdentity } from "@hubwire/transport";
import type { ClientCertificate, Pem } from "./credentials.ts";

/** A certificate given as text or bytes, as the dialler wants it. */
export function tlsIdentityOf(certificate: ClientCertificate): TlsIdentity {
  const { cert, key, chain, passphrase } = certificate;
  return {
    cert: pemText(cert),
    key: pemText(key),
    ...(chain === undefined ? {} : { chain: pemText(chain) }),
    ...(passphrase === undefined ? {} : { passphrase }),
  };
}

export const pemText = (pem: Pem): string =>
  typeof pem === "string" ? pem : Buffer.from(pem).toString("utf8");
