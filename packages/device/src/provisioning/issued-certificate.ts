import { pemText } from "../credentials/certificate.ts";
import type { Pem } from "../credentials/credentials.ts";
import { proveByCertificate } from "../credentials/proofs.ts";
import type {
  Credential,
  CredentialContext,
  CredentialProvider,
  CredentialRequest,
  CredentialScope,
} from "../credentials/provider.ts";

/**
 * For the service the proof it knows; for the hub the certificate the service issued, as soon as there is one. Only the
 * private key it belongs to was here before.
 */
export class IssuedCertificate implements CredentialProvider {
  readonly #proof: CredentialProvider;
  readonly #key: Pem;
  readonly #chain: () => readonly string[] | undefined;
  #made: { of: readonly string[]; provider: CredentialProvider } | undefined;

  /** @param chain base64 of DER, leaf first; the latest */
  constructor(proof: CredentialProvider, key: Pem, chain: () => readonly string[] | undefined) {
    this.#proof = proof;
    this.#key = key;
    this.#chain = chain;
  }

  attach(context: CredentialContext): void {
    this.#proof.attach?.(context);
  }

  next(scope: CredentialScope, request: CredentialRequest): Promise<Credential> {
    const isForService = scope.resource !== undefined;
    return (isForService ? this.#proof : this.#forHub()).next(scope, request);
  }

  onChange(listener: (why: string) => void): () => void {
    return this.#proof.onChange?.(listener) ?? (() => undefined);
  }

  outcome(credential: Credential, failure: Error | undefined): void {
    this.#proof.outcome?.(credential, failure);
  }

  get standby(): boolean {
    return this.#proof.standby === true;
  }

  close(): void {
    this.#proof.close?.();
  }

  #forHub(): CredentialProvider {
    const of = this.#chain();
    if (of === undefined || of.length === 0) return this.#proof;
    if (this.#made?.of !== of) {
      const cert = of.map(pemOf).join("");
      const { provider } = proveByCertificate({ cert, key: pemText(this.#key) });
      this.#made = { of, provider };
    }
    return this.#made.provider;
  }
}

const pemOf = (base64: string): string => {
  const lines = base64.replaceAll(/\s+/g, "").match(/.{1,64}/g) ?? [];
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
};
