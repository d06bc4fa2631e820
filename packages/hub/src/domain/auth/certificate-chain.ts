import { X509Certificate } from "node:crypto";
import { IotError } from "@hubwire/protocol";

/** A CA whose certificates may name devices by their CN. */
export type DeviceCa = X509Certificate;

/** Certificates above the leaf that are looked at; more is not a chain but an attack on the CPU. */
const chainCertificatesMax = 8;

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

/**
 * Every certificate of the PEM texts.
 * @throws IotError `argument.invalid` for text without a certificate, and for a certificate that is no CA
 */
export function parseDeviceCas(pems: readonly string[]): DeviceCa[] {
  return pems.flatMap((pem, i) => {
    const blocks = pem.match(CERTIFICATE) ?? [];
    if (blocks.length === 0) throw invalid(i, "holds no PEM certificate");
    return blocks.map((block) => {
      const certificate = parse(Buffer.from(block));
      if (certificate === undefined) throw invalid(i, "cannot be read");
      if (!certificate.ca) throw invalid(i, `is not a CA certificate: ${subject(certificate)}`);
      return certificate;
    });
  });
}

/**
 * Why the leaf does not lead to one of `cas` at `nowMs`, in words; undefined when it does. Checked on every step: the
 * signature, that the issuer is a CA, and the dates. Revocation lists are not consulted, as on Azure.
 */
export function chainTrouble(
  leafDer: Uint8Array,
  chainDer: readonly Uint8Array[],
  cas: readonly DeviceCa[],
  nowMs: number,
): string | undefined {
  if (cas.length === 0) return "the hub has no device CA";
  let current = parse(leafDer);
  if (current === undefined) return "the leaf cannot be read";
  const sent = chainDer.slice(0, chainCertificatesMax).flatMap((der) => parse(der) ?? []);
  // Each certificate that was sent is used once, so two that signed each other do not go round for ever.
  for (;;) {
    const below: X509Certificate = current;
    const trusted = cas.filter((ca) => signedBy(below, ca));
    if (trusted.some((ca) => isCurrent(ca, nowMs))) return undefined;
    if (trusted.length > 0) return `the CA ${subject(trusted[0]!)} is outside its dates`;
    const index = sent.findIndex((above) => above.ca && signedBy(below, above));
    if (index < 0) return `nothing it sent and no CA of the hub signed ${subject(below)}`;
    current = sent.splice(index, 1)[0]!;
    if (!isCurrent(current, nowMs)) {
      return `the intermediate ${subject(current)} is outside its dates`;
    }
  }
}

function signedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  try {
    return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
  } catch {
    return false; // a key type this OpenSSL does not know
  }
}

function isCurrent(certificate: X509Certificate, nowMs: number): boolean {
  return Date.parse(certificate.validFrom) <= nowMs && nowMs <= Date.parse(certificate.validTo);
}

function parse(bytes: Uint8Array): X509Certificate | undefined {
  try {
    return new X509Certificate(bytes);
  } catch {
    return undefined;
  }
}

const subject = (certificate: X509Certificate): string =>
  certificate.subject.replaceAll("\n", ", ");

const invalid = (index: number, why: string): IotError =>
  new IotError("argument.invalid", `Device CA number ${index + 1} ${why}`);
