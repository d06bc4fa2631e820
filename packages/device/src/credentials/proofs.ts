import type { TlsIdentity } from "@hubwire/transport";
import { invalid } from "../calls/errors.ts";
import { checkNumber } from "../options/bounds.ts";
import { CertificateCredentials, tlsIdentityOf } from "./certificate.ts";
import type { ClientCertificate, Proof, SingleProof } from "./credentials.ts";
import { FileCertificate } from "./file-certificate.ts";
import { readyPasswords, signedPasswords, signWithKey } from "./passwords.ts";
import type { CredentialProvider } from "./provider.ts";
import { Rotation } from "./rotation.ts";

/** A proof made ready to be presented. */
export type Proven = {
  provider: CredentialProvider;
  /** The certificate that was given as text, to be looked at before anything is dialled. */
  certificate: TlsIdentity | undefined;
};

const kinds = [
  "sharedAccessKey",
  "sharedAccessSignature",
  "certificate",
  "sign",
  "provider",
] as const;

/**
 * What presents a proof of any kind.
 * @throws IotError `argument.invalid`, `sas.malformed`
 */
export function prove(proof: Proof, tokenLifetimeS: number): Proven {
  const given = [...kinds, "current" as const].filter(
    (name) => name in proof && isGiven(proof, name),
  );
  if (given.length !== 1 || ("next" in proof && given[0] !== "current")) {
    throw invalid(
      "credentials has exactly one of sharedAccessKey, sharedAccessSignature, certificate, sign, provider, and current with next",
    );
  }
  if (!("current" in proof)) return proveOne(proof, tokenLifetimeS);
  const { current, next, onRotated } = proof;
  const first = proveSingle(current, tokenLifetimeS, "current");
  const second = proveSingle(next, tokenLifetimeS, "next");
  return { ...first, provider: withNext(first.provider, second.provider, onRotated) };
}

/** @throws IotError `argument.invalid`, `sas.malformed` */
export function proveSingle(proof: SingleProof, tokenLifetimeS: number, name: string): Proven {
  const given =
    typeof proof === "object" && proof !== null ? kinds.filter((kind) => isGiven(proof, kind)) : [];
  if (given.length !== 1) {
    throw invalid(`${name} has exactly one of ${kinds.join(", ")}`);
  }
  return proveOne(proof, tokenLifetimeS);
}

const isGiven = (proof: object, name: string): boolean =>
  (proof as Record<string, unknown>)[name] !== undefined;

function proveOne(proof: SingleProof, lifetimeS: number): Proven {
  if ("certificate" in proof) return proveByCertificate(proof.certificate);
  if ("provider" in proof) return { provider: proof.provider, certificate: undefined };
  if ("sharedAccessSignature" in proof) {
    const { sharedAccessSignature, refresh } = proof;
    return { provider: readyPasswords(sharedAccessSignature, refresh), certificate: undefined };
  }
  const [sign, policyName] =
    "sign" in proof
      ? [proof.sign, undefined]
      : [signWithKey(proof.sharedAccessKey), proof.sharedAccessKeyName];
  return { provider: signedPasswords({ policyName, lifetimeS }, sign), certificate: undefined };
}

/** @throws IotError `argument.invalid` */
export function proveByCertificate(certificate: ClientCertificate): Proven {
  const { expiryWarningDays = [] } = certificate;
  for (const days of expiryWarningDays) checkNumber("expiryWarningDays", days, 1, 3_650);
  if (certificate.certFile === undefined) {
    const isReady = typeof certificate.passphrase !== "object";
    return {
      provider: new CertificateCredentials(certificate),
      certificate: isReady ? tlsIdentityOf(certificate) : undefined,
    };
  }
  const { certFile, keyFile, chainFile, pollMs } = certificate;
  for (const file of [certFile, keyFile, chainFile ?? "-"]) {
    if (typeof file !== "string" || file === "") {
      throw invalid("certificate needs certFile and keyFile together, each a path");
    }
  }
  if (pollMs !== undefined) checkNumber("certificate.pollMs", pollMs, 100, 86_400_000);
  return { provider: new FileCertificate(certificate), certificate: undefined };
}

function withNext(
  current: CredentialProvider,
  next: CredentialProvider,
  onRotated: Extract<Proof, { current: unknown }>["onRotated"],
): CredentialProvider {
  const rotation = new Rotation(current);
  rotation.offer(next, { onRotated, whenConnected: true }).catch(() => undefined);
  return rotation;
}
