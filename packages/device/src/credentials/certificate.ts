import { crypto } from "@hubwire/transport";
import { IotError } from "@hubwire/protocol";
import type { TlsIdentity } from "@hubwire/transport";
import type { CertificateText, Pem } from "./credentials.ts";
import { ExpiryWarnings } from "./expiry-warnings.ts";
import { Presented } from "./presented.ts";
import type { Credential, CredentialContext, CredentialProvider } from "./provider.ts";
import { readSecret } from "./secret.ts";

/** What a client certificate says of itself. */
export type CertificateFacts = {
  /** Such as `CN=dev1`. */
  subject: string;
  validFromMs: number;
  validToMs: number;
};

/** A certificate given as text or bytes, as the dialler wants it; a passphrase that is somewhere else is left out. */
export function tlsIdentityOf(certificate: CertificateText): TlsIdentity {
  const { cert, key, chain, passphrase } = certificate;
  return {
    cert: pemText(cert),
    key: pemText(key),
    ...(chain === undefined ? {} : { chain: pemText(chain) }),
    ...(typeof passphrase === "string" ? { passphrase } : {}),
  };
}

export const pemText = (pem: Pem): string =>
  typeof pem === "string" ? pem : Buffer.from(pem).toString("utf8");

/** Of the first certificate in a text; undefined when there is none that can be read. */
export function certificateFacts(pem: string): CertificateFacts | undefined {
  try {
    const certificate = new (crypto().X509Certificate)(pem);
    return {
      subject: certificate.subject.replaceAll("\n", ", "),
      validFromMs: Date.parse(certificate.validFrom),
      validToMs: Date.parse(certificate.validTo),
    };
  } catch {
    return undefined;
  }
}

/** @throws IotError `device.certificate_expired` */
export function checkNotExpired({ subject, validToMs }: CertificateFacts, wallMs: number): void {
  if (wallMs < validToMs) return;
  throw new IotError(
    "device.certificate_expired",
    `The certificate ${subject} ended at ${new Date(validToMs).toISOString()} (device clock ${new Date(wallMs).toISOString()})`,
  );
}

/** With X.509 the certificate of the TLS handshake is the proof, and there is no password. */
export class CertificateCredentials implements CredentialProvider {
  readonly #certificate: CertificateText;
  readonly #facts: CertificateFacts | undefined;
  readonly #warnings: ExpiryWarnings;
  #credential: Credential | undefined;

  constructor(certificate: CertificateText) {
    this.#certificate = certificate;
    this.#facts = certificateFacts(pemText(certificate.cert));
    this.#warnings = new ExpiryWarnings(certificate.expiryWarningDays);
  }

  /** What it says of itself; undefined when it cannot be read. */
  get facts(): CertificateFacts | undefined {
    return this.#facts;
  }

  attach(context: CredentialContext): void {
    if (this.#facts !== undefined) this.#warnings.start(this.#facts, context);
  }

  async next(_scope: unknown, { wallMs }: { wallMs: number }): Promise<Credential> {
    if (this.#facts !== undefined) checkNotExpired(this.#facts, wallMs);
    this.#credential ??= new Presented({
      password: undefined,
      tls: await this.#identity(),
      expiresAtMs: this.#facts?.validToMs ?? Infinity,
      renewable: false,
    });
    return this.#credential;
  }

  close(): void {
    this.#warnings.stop();
  }

  async #identity(): Promise<TlsIdentity> {
    const { passphrase } = this.#certificate;
    const identity = tlsIdentityOf(this.#certificate);
    return passphrase === undefined || typeof passphrase === "string"
      ? identity
      : { ...identity, passphrase: await readSecret(passphrase) };
  }
}
