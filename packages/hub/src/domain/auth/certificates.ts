import { IotError } from "@hubwire/protocol";
import type { PeerCertificate } from "@hubwire/transport";
import { chainTrouble } from "./certificate-chain.ts";
import type { DeviceCa } from "./certificate-chain.ts";
import { isoTime, quote, sameHex } from "./tokens.ts";
import { authorityMark, thumbprintMark } from "../credential-marks.ts";
import type { CredentialMark } from "../credential-marks.ts";
import { identityKey } from "../services.ts";
import type { Identity } from "../services.ts";

type Registered = Identity["authentication"];

/**
 * The certificate of a device that is registered for X.509.
 * @throws IotError `auth.certificate_expired`, `auth.certificate_not_yet_valid`, `auth.thumbprint`,
 * `auth.certificate_untrusted`, `auth.certificate_cn`
 */
export function requireCertificate(
  identity: Identity,
  certificate: PeerCertificate,
  cas: readonly DeviceCa[],
  nowMs: number,
): void {
  requireCurrent(certificate, nowMs);
  if (identity.authentication.type === "selfSigned") {
    requireThumbprint(identity.authentication, certificate, identityKey(identity));
  } else {
    requireChain(identityKey(identity), certificate, cas, nowMs);
  }
}

/** What of a registration this certificate, which was let in, is good for. */
export function certificateMarks(
  { type }: Registered,
  { sha1Thumbprint, sha256Thumbprint }: PeerCertificate,
): CredentialMark[] {
  if (type !== "selfSigned") return [authorityMark];
  return [thumbprintMark(sha1Thumbprint), thumbprintMark(sha256Thumbprint)];
}

function requireCurrent(certificate: PeerCertificate, nowMs: number): void {
  if (nowMs > certificate.validToMs) {
    throw new IotError(
      "auth.certificate_expired",
      `The certificate ended at ${isoTime(certificate.validToMs)}; the hub's time is ${isoTime(nowMs)}`,
    );
  }
  if (nowMs < certificate.validFromMs) {
    throw new IotError(
      "auth.certificate_not_yet_valid",
      `The certificate begins at ${isoTime(certificate.validFromMs)}; the hub's time is ${isoTime(nowMs)}`,
    );
  }
}

/** SHA-1 or SHA-256 of the leaf, whichever was registered; issuer and CN do not matter here. */
function requireThumbprint(
  registered: Extract<Registered, { type: "selfSigned" }>,
  certificate: PeerCertificate,
  key: string,
): void {
  const presented = [certificate.sha1Thumbprint, certificate.sha256Thumbprint];
  for (const wanted of [registered.primaryThumbprint, registered.secondaryThumbprint]) {
    if (wanted === undefined || wanted === "") continue;
    if (presented.some((thumbprint) => sameHex(thumbprint, wanted))) return;
  }
  throw new IotError(
    "auth.thumbprint",
    `${key} presented SHA-1 ${certificate.sha1Thumbprint} (SHA-256 ${certificate.sha256Thumbprint})`,
  );
}

function requireChain(
  key: string,
  certificate: PeerCertificate,
  cas: readonly DeviceCa[],
  nowMs: number,
): void {
  const trouble = chainTrouble(certificate.raw, certificate.chain, cas, nowMs);
  if (trouble !== undefined) {
    throw new IotError("auth.certificate_untrusted", `The certificate is not trusted: ${trouble}`);
  }
  if (certificate.commonName !== key) {
    const cn = certificate.commonName === undefined ? "none" : quote(certificate.commonName);
    throw new IotError("auth.certificate_cn", `The certificate's CN is ${cn}, not ${quote(key)}`);
  }
}
