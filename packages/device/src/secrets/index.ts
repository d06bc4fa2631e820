/**
 * Places where a secret of a device may live, for every option that takes a `Secret`: `sharedAccessKey`, `passphrase`,
 * `connectionString`, the PIN of `@hubwire/pkcs11`.
 *
 *     import { sealedFile, systemdCredential } from "@hubwire/device/secrets";
 *     const connectionString = sealedFile("device.sealed", systemdCredential("passphrase"));
 *     await using client = await connect({ connectionString });
 *
 * The keychain of the operating system is in `@hubwire/keychain`.
 */
export { openSealedFile, sealedFile, sealFile } from "./sealed-file.ts";
export type { SealOptions } from "./sealed-file.ts";
export type { SealWork } from "./sealed-format.ts";
export { secretFile, systemdCredential } from "./secret-file.ts";
export type { SecretFileOptions } from "./secret-file.ts";
export { environmentVariable } from "./environment-variable.ts";
export type { EnvironmentVariableOptions } from "./environment-variable.ts";
export { readSecret } from "../credentials/secret.ts";
export type { Secret, SecretSource } from "../credentials/secret.ts";
