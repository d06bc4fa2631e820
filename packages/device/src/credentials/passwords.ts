import { createHmac } from "node:crypto";
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
import type { Credential, CredentialProvider, CredentialScope } from "./provider.ts";

const bytesOf = (text: string): Uint8Array => Buffer.from(text, "utf8");

/** Signs with a key held in this process. Keys in the wild are not always canonical base64, so decoding is lenient. */
export function signWithKey(sharedAccessKey: string): Sign {
  const key = decodeBase64Lenient(sharedAccessKey);
  return (text) => Promise.resolve(createHmac("sha256", key).update(text, "utf8").digest("base64"));
}

/** A new token for every attempt to connect. */
export function signedPasswords(
  { policyName, lifetimeS }: { policyName: string | undefined; lifetimeS: number },
  sign: Sign,
): CredentialProvider {
  return {
    async next(scope, { wallMs }) {
      const expiresAtS = Math.floor(wallMs / 1000) + lifetimeS;
      try {
        const resource = sasResource(scope.hostName, identityOf(scope));
        const token = await buildSasToken({ resource, policyName, expiresAtS }, sign);
        const expiresAtMs = expiresAtS * 1000;
        return { password: bytesOf(token), tls: undefined, expiresAtMs, renewable: true };
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
  let current = readToken(sharedAccessSignature);
  return {
    async next(_scope, { wallMs, fresh }) {
      const { expiresAtMs } = current;
      if (refresh === undefined) {
        if (wallMs < expiresAtMs) return { ...current, renewable: false };
        const ended = new Date(expiresAtMs).toISOString();
        throw new IotError("device.token_expired", `The token ended at ${ended}`);
      }
      if (fresh || wallMs > expiresAtMs - staleMs) {
        try {
          current = readToken(await refresh());
        } catch (cause) {
          throw unavailable("refresh", cause);
        }
      }
      return { ...current, renewable: true };
    },
  };
}

/** A password the caller insists on, token or not. */
export function givenPassword(password: string, tls: TlsIdentity | undefined): CredentialProvider {
  let given: Credential;
  try {
    given = { ...readToken(password), tls, renewable: false };
  } catch {
    given = { password: bytesOf(password), tls, expiresAtMs: Infinity, renewable: false };
  }
  return { next: () => Promise.resolve(given) };
}

/** With X.509 the certificate of the TLS handshake is the proof; without one there is none. */
export function certificateOnly(tls: TlsIdentity | undefined): CredentialProvider {
  const given: Credential = { password: undefined, tls, expiresAtMs: Infinity, renewable: false };
  return { next: () => Promise.resolve(given) };
}

function readToken(token: string): Omit<Credential, "renewable"> {
  const expiresAtMs = parseSasToken(token).expiresAtS * 1000;
  return { password: bytesOf(token), tls: undefined, expiresAtMs };
}

const unavailable = (name: "sign" | "refresh", cause: unknown): IotError =>
  isIotError(cause)
    ? cause
    : new IotError("device.token_unavailable", `The ${name} function failed`, { cause });
