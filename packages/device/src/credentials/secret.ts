/**
 * A place where a secret lives: read when it is needed, kept nowhere. The sources of `@hubwire/device/secrets` and
 * `@hubwire/keychain` have this shape; any object may.
 */
export interface SecretSource {
  /** Where it is, in words for errors and logs: never the secret. */
  readonly name: string;
  /**
   * Reads it again at each call, so that a replaced secret is found.
   * @throws IotError `secret.*`
   */
  read(): Promise<string>;
}

/** A secret, or where it is. */
export type Secret = string | SecretSource;

/** The text of a secret. @throws what its source throws */
export const readSecret = (secret: Secret): Promise<string> =>
  typeof secret === "string" ? Promise.resolve(secret) : secret.read();
