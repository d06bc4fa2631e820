/**
 * Keys of the device client in a PKCS#11 token: a smart card, an HSM, a TPM behind tpm2-pkcs11, SoftHSM.
 *
 * - `pkcs11SasCredentials`, or `pkcs11Sign` alone: SAS tokens, by an HMAC key in the token
 * - `pkcs11X509Credentials`, or `pkcs11Certificate` alone: TLS, by a private key in the token and OpenSSL's engine interface
 */
export { pkcs11Sign } from "./sign.ts";
export type { Pkcs11Sign, Pkcs11SignOptions } from "./sign.ts";
export { importSasKey } from "./import-key.ts";
export type { ImportKeyOptions } from "./import-key.ts";
export { pkcs11SasCredentials } from "./sas-credentials.ts";
export type { Pkcs11SasOptions } from "./sas-credentials.ts";
export { pkcs11Certificate } from "./certificate.ts";
export type { Pkcs11Certificate, Pkcs11CertificateOptions, TlsIdentity } from "./certificate.ts";
export { pkcs11X509Credentials } from "./x509-credentials.ts";
export { findEngine } from "./engine.ts";
export type { KeyChoice } from "./keys.ts";
export type { Pin } from "./pin.ts";
export type { TokenOptions } from "./token-session.ts";
export type { TokenChoice } from "./tokens.ts";
