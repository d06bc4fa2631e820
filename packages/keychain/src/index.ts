/**
 * Secrets of `@hubwire/device` in the keychain of the operating system: Keychain on macOS, Credential Manager on Windows, the
 * Secret Service (gnome-keyring, KWallet) on Linux.
 *
 *     import { keychainSecret } from "@hubwire/keychain";
 *     const sharedAccessKey = keychainSecret({ service: "my-product", account: "dev1" });
 *     await using client = await connect({ credentials: { hostName, deviceId, sharedAccessKey } });
 */
export { deleteKeychainSecret, keychainSecret, storeKeychainSecret } from "./keychain.ts";
export type { KeychainEntry, KeychainSecret } from "./keychain.ts";
