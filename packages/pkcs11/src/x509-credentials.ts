import type { CredentialProvider } from "@hubwire/device";
import { IotError } from "@hubwire/protocol";
import { pkcs11Certificate } from "./certificate.ts";
import type { Pkcs11CertificateOptions } from "./certificate.ts";

/**
 * An X.509 identity whose private key stays in its PKCS#11 token. Closed with the client. What `pkcs11Certificate` says about
 * engines and the process holds here too.
 * @throws IotError `argument.invalid`, `pkcs11.engine`, `pkcs11.pin`
 */
export function pkcs11X509Credentials(options: Pkcs11CertificateOptions): CredentialProvider {
  const certificate = pkcs11Certificate(options);
  const { expiresAtMs } = certificate;
  return {
    async next(_scope, { wallMs }) {
      if (wallMs >= expiresAtMs) throw expired(expiresAtMs, wallMs);
      const tls = await certificate.identity();
      return { password: undefined, tls, expiresAtMs, renewable: false };
    },
    close: () => void certificate.close(),
  };
}

const expired = (expiresAtMs: number, wallMs: number): IotError => {
  const [end, now] = [expiresAtMs, wallMs].map((ms) => new Date(ms).toISOString());
  const text = `The certificate of the key in the token ended at ${end} (device clock ${now})`;
  return new IotError("device.certificate_expired", text);
};
