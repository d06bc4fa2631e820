import { crypto } from "@hubwire/transport";
import {
  buildSasToken,
  decodeBase64Lenient,
  IotError,
  parseSasToken,
  sasResource,
} from "@hubwire/protocol";
import type { DeviceIdentity, Sign } from "@hubwire/protocol";
import { isIotError } from "../calls/errors.ts";
import type { TlsIdentity } from "@hubwire/transport";
import { Presented } from "./presented.ts";
import type { CredentialProvider, CredentialScope } from "./provider.ts";
import type { Secret } from "./secret.ts";

const bytesOf = (text: string): Uint8Array => Buffer.from(text, "utf8");

/**
 * Signs with a key held in this process, or read for each token from where it is. Keys in the wild are not always canonical
 * base64, so decoding is lenient.
 */
export function signWithKey(sharedAccessKey: Secret): Sign {
  if (typeof sharedAccessKey !== "string") {
    return async (text) => hmac(decodeBase64Lenient(await sharedAccessKey.read()), text);
  }
  const key = decodeBase64Lenient(sharedAccessKey);
  return (text) => Promise.resolve(hmac(key, text));
}

const hmac = (key: Uint8Array, text: string): string =>
  crypto().createHmac("sha256", key).update(text, "utf8").digest("base64");

/** A new token for every attempt to connect. */
export function signedPasswords(
  { policyName, lifetimeS }: { policyName: string | undefined; lifetimeS: number },
  sign: Sign,
): CredentialProvider {
  return {
    async next(scope, { wallMs }) {
      const expiresAtS = Math.floor(wallMs / 1000) + lifetimeS;
      try {
        const resource = scope.resource ?? sasResource(scope.hostName, identityOf(scope));
        const name = scope.policyName ?? policyName;
        const token = await buildSasToken({ resource, policyName: name, expiresAtS }, sign);
        return present(token, expiresAtS * 1000, true);
      } catch (cause) {
        throw unavailable("sign", cause);
      }
    },
  };
}

const identityOf = ({ deviceId, moduleId }: CredentialScope): DeviceIdentity =>
  moduleId === undefined ? { deviceId } : { deviceId, moduleId };

/** Below this many milliseconds a ready-made token is replaced rather than used, when there is a way to replace it. */
const staleMs = 1000;

/** A token somebody else made, replaced by `refresh` when it runs out or was refused. */
export function readyPasswords(
  sharedAccessSignature: string,
  refresh: (() => string | Promise<string>) | undefined,
): CredentialProvider {
  let token = sharedAccessSignature;
  let expiresAtMs = endOf(token);
  return {
    async next(_scope, { wallMs, fresh }) {
      if (refresh === undefined) {
        if (wallMs < expiresAtMs) return present(token, expiresAtMs, false);
        const ended = new Date(expiresAtMs).toISOString();
        throw new IotError("device.token_expired", `The token ended at ${ended}`);
      }
      if (fresh || wallMs > expiresAtMs - staleMs) {
        try {
          const given = await refresh();
          expiresAtMs = endOf(given);
          token = given;
        } catch (cause) {
          throw unavailable("refresh", cause);
        }
      }
      return present(token, expiresAtMs, true);
    },
  };
}

/** A password the caller insists on, token or not. */
export function givenPassword(password: string, tls: TlsIdentity | undefined): CredentialProvider {
  let expiresAtMs = Infinity;
  try {
    expiresAtMs = endOf(password);
  } catch {
    // Then it is no token, and its end is unknown.
  }
  const given = present(password, expiresAtMs, false, tls);
  return { next: () => Promise.resolve(given) };
}

/** No password and no certificate. */
export function nothingToPresent(): CredentialProvider {
  const nothing = { password: undefined, tls: undefined, expiresAtMs: Infinity, renewable: false };
  return { next: () => Promise.resolve(new Presented(nothing)) };
}

const endOf = (token: string): number => parseSasToken(token).expiresAtS * 1000;

const present = (
  password: string,
  expiresAtMs: number,
  renewable: boolean,
  tls?: TlsIdentity,
): Presented => new Presented({ password: bytesOf(password), tls, expiresAtMs, renewable });

const unavailable = (name: "sign" | "refresh", cause: unknown): IotError =>
  isIotError(cause)
    ? cause
    : new IotError("device.token_unavailable", `The ${name} function failed`, { cause });
