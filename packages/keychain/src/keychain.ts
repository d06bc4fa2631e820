import { IotError } from "@hubwire/protocol";
import type { AsyncEntry } from "@napi-rs/keyring";

/** Which entry of the keychain. */
export type KeychainEntry = {
  /** The application, such as the name of the product. */
  service: string;
  /** Which of its secrets, such as the device id. */
  account: string;
  /**
   * Which store on Linux; `secret-service` unless told otherwise. The keys of the kernel (`keyutils`) need no desktop session
   * and are gone after a restart.
   */
  linuxStore?: "secret-service" | "keyutils";
};

/** A place where a secret lives, as the options of `@hubwire/device` take it. */
export type KeychainSecret = {
  /** In words, for errors. */
  readonly name: string;
  /** @throws IotError `secret.missing`, `secret.unreadable`, `secret.keychain_unavailable` */
  read(): Promise<string>;
};

/** Longer than any key; Windows takes 2560 bytes for an entry. */
const secretBytesMax = 2_560;
/** A keychain may ask a person to unlock it; a device has none. */
const answerTimeoutMs = 30_000;

/**
 * A secret in the keychain; asked for each time it is needed.
 * @throws IotError `argument.invalid`
 */
export function keychainSecret(entry: KeychainEntry): KeychainSecret {
  const name = nameOf(entry);
  return {
    name,
    read: async () => {
      const secret = await ask(entry, (handle) => handle.getPassword());
      if (secret === undefined || secret === null || secret === "") {
        throw new IotError("secret.missing", `There is no ${name}, or the keychain is locked`);
      }
      return secret;
    },
  };
}

/**
 * Puts a secret into the keychain, in the place of what is there.
 * @param secret at most 2560 bytes
 * @throws IotError `argument.invalid`, `secret.unreadable`, `secret.keychain_unavailable`
 */
export async function storeKeychainSecret(entry: KeychainEntry, secret: string): Promise<void> {
  nameOf(entry);
  const bytes = typeof secret === "string" ? Buffer.byteLength(secret, "utf8") : 0;
  if (bytes === 0 || bytes > secretBytesMax) {
    throw new IotError("argument.invalid", `The secret is text of 1 to ${secretBytesMax} bytes`);
  }
  await ask(entry, (handle) => handle.setPassword(secret));
}

/**
 * Takes a secret out of the keychain.
 * @returns whether there was one
 * @throws IotError `argument.invalid`, `secret.unreadable`, `secret.keychain_unavailable`
 */
export async function deleteKeychainSecret(entry: KeychainEntry): Promise<boolean> {
  nameOf(entry);
  return ask(entry, (handle) => handle.deleteCredential());
}

function nameOf({ service, account, linuxStore }: KeychainEntry): string {
  for (const [what, text] of Object.entries({ service, account })) {
    if (typeof text !== "string" || !/^[^\0]{1,255}$/u.test(text)) {
      throw new IotError("argument.invalid", `${what} is text of 1 to 255 characters`);
    }
  }
  if (!["secret-service", "keyutils", undefined].includes(linuxStore)) {
    throw new IotError("argument.invalid", "linuxStore is secret-service or keyutils");
  }
  return `keychain entry ${service}/${account}`;
}

async function ask<T>(entry: KeychainEntry, what: (handle: AsyncEntry) => Promise<T>): Promise<T> {
  const { service, account, linuxStore = "secret-service" } = entry;
  let Entry: typeof AsyncEntry;
  try {
    // Native, and different on each platform: loaded when it is needed, and missing on some.
    ({ AsyncEntry: Entry } = await import("@napi-rs/keyring"));
  } catch (cause) {
    const text = "The native part of @napi-rs/keyring cannot be loaded on this platform";
    throw new IotError("secret.keychain_unavailable", text, { cause });
  }
  const signal = AbortSignal.timeout(answerTimeoutMs);
  try {
    // A named store, because the library would fall back to the one that forgets.
    const handle = new Entry(service, account, { linux: { store: linuxStore } });
    return await Promise.race([what(handle), ended(signal)]);
  } catch (cause) {
    throw failure(nameOf(entry), cause);
  }
}

/** The library looks at a signal before it begins, not while it waits. */
function ended(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const give = (): void => reject(new Error(`no answer within ${answerTimeoutMs} ms`));
    signal.addEventListener("abort", give, { once: true });
  });
}

/** The library has no codes; its words are those of the keyring crate. */
function failure(name: string, cause: unknown): IotError {
  const text = cause instanceof Error ? cause.message : String(cause);
  const isLocked = /prompt|locked|no answer/iu.test(text);
  const isMissing = !isLocked && /platform failure|no storage access|d-?bus/iu.test(text);
  const code = isMissing ? "secret.keychain_unavailable" : "secret.unreadable";
  return new IotError(code, `The ${name} could not be reached: ${text}`, { cause });
}
