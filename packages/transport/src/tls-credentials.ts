import { existsSync } from "node:fs";
import { isAbsolute } from "node:path";
import { crypto } from "./builtins.ts";
import { IotError } from "@hubwire/protocol";

export type Pem = string | readonly string[];

/** What proves one side's identity, or is missing altogether. */
export type Identity = {
  cert?: string | undefined;
  key?: string | undefined;
  chain?: Pem | undefined;
  passphrase?: string | undefined;
  privateKeyEngine?: string | undefined;
  privateKeyIdentifier?: string | undefined;
};

/** The part of `createSecureContext`'s options that is about an identity. */
export type IdentityOptions = {
  cert?: string;
  key?: string;
  passphrase?: string;
  privateKeyEngine?: string;
  privateKeyIdentifier?: string;
};

const certificateBlock =
  /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----[^-]+-----END (?:X509 |TRUSTED )?CERTIFICATE-----/g;
const privateKeyStart = /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----/;

/**
 * The options of `createSecureContext` for an identity, after a look at what was given: OpenSSL skips what it cannot
 * read in a chain or a CA list without a word, and its words for a wrong key help nobody.
 * @throws IotError `transport.tls_credentials`
 */
export function identityOptions(identity: Identity): IdentityOptions {
  const { cert, chain } = identity;
  const keyOptions = privateKeyOptions(identity);
  if (cert === undefined && keyOptions === undefined) return {};
  if (cert === undefined) throw unusable("a private key was given without its certificate");
  if (keyOptions === undefined) throw unusable("a certificate was given without its private key");
  const certificates = [
    checkedCertificates("cert", cert),
    ...listOf(chain).map((pem) => checkedCertificates("chain", pem)),
  ];
  return { cert: certificates.join("\n"), ...keyOptions };
}

/** The key itself, or where the engine finds it. */
function privateKeyOptions(identity: Identity): IdentityOptions | undefined {
  const { key, passphrase, privateKeyEngine, privateKeyIdentifier } = identity;
  if (privateKeyEngine !== undefined || privateKeyIdentifier !== undefined) {
    if (key !== undefined) throw unusable("both `key` and `privateKeyEngine` were given");
    if (privateKeyEngine === undefined || privateKeyIdentifier === undefined)
      throw unusable("`privateKeyEngine` and `privateKeyIdentifier` belong together");
    // Node 22 ends with a segmentation fault when it cannot load an engine (seen with 22.13.1).
    if (isAbsolute(privateKeyEngine) && !existsSync(privateKeyEngine))
      throw unusable(`there is no engine ${privateKeyEngine}`);
    return { privateKeyEngine, privateKeyIdentifier };
  }
  if (key === undefined) return undefined;
  if (!privateKeyStart.test(key)) throw unusable(`\`key\` ${notPem(key, "a private key")}`);
  return { key, ...(passphrase !== undefined && { passphrase }) };
}

/**
 * Each text with at least one readable certificate.
 * @throws IotError `transport.tls_credentials`
 */
export function checkedAuthorities(ca: Pem | undefined): readonly string[] {
  return listOf(ca).map((pem) => checkedCertificates("ca", pem));
}

/** What OpenSSL said about credentials, in words; never quotes them. */
export function credentialsError(cause: unknown): IotError {
  const code = (cause as { code?: unknown } | null)?.code;
  if (code === "ERR_OSSL_X509_KEY_VALUES_MISMATCH")
    return unusable("the private key belongs to another certificate", cause);
  if (code === "ERR_OSSL_BAD_DECRYPT" || code === "ERR_OSSL_CRYPTO_INTERRUPTED_OR_CANCELLED") {
    return unusable("the private key is encrypted, and the passphrase is missing or wrong", cause);
  }
  return unusable(`OpenSSL says: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
}

function checkedCertificates(what: string, pem: string): string {
  const blocks = pem.match(certificateBlock);
  if (blocks === null) throw unusable(`\`${what}\` ${notPem(pem, "a certificate")}`);
  for (const block of blocks) {
    try {
      void new (crypto().X509Certificate)(block);
    } catch (cause) {
      throw unusable(`\`${what}\` holds a certificate that cannot be read`, cause);
    }
  }
  return pem;
}

/** A short single line is most likely a file name; anything longer might be a secret. */
function notPem(text: string, wanted: string): string {
  const isPath = text.length < 300 && !text.includes("\n") && /[./\\]/.test(text);
  return isPath
    ? `is not the PEM of ${wanted}; it looks like a file name: pass what is in the file`
    : `is not the PEM of ${wanted}`;
}

function listOf(pem: Pem | undefined): readonly string[] {
  if (pem === undefined) return [];
  return typeof pem === "string" ? [pem] : pem;
}

function unusable(what: string, cause?: unknown): IotError {
  const message = `the TLS credentials cannot be used: ${what}`;
  return new IotError(
    "transport.tls_credentials",
    message,
    cause === undefined ? undefined : { cause },
  );
}
