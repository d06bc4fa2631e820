import { createHmac } from "node:crypto";
import { buildSasToken, decodeBase64Lenient, IotError, parseSasToken } from "@hubwire/protocol";
import type { Sign } from "@hubwire/protocol";
import { isIotError } from "../calls/errors.ts";
import type { Password, PasswordSource } from "./credentials.ts";

const bytesOf = (text: string): Uint8Array => Buffer.from(text, "utf8");

/** Signs with a key held in this process. Keys in the wild are not always canonical base64, so decoding is lenient. */
export function signWithKey(sharedAccessKey: string): Sign {
  const key = decodeBase64Lenient(sharedAccessKey);
  return (text) => Promise.resolve(createHmac("sha256", key).update(text, "utf8").digest("base64"));
}

/** A new token for every attempt to connect. */
export function signedPasswords(
  scope: { resource: string; policyName: string | undefined; lifetimeS: number },
  sign: Sign,
): PasswordSource {
  return {
    async next(wallMs) {
      const expiresAtS = Math.floor(wallMs / 1000) + scope.lifetimeS;
      const { resource, policyName } = scope;
      try {
        const token = await buildSasToken({ resource, policyName, expiresAtS }, sign);
        return { bytes: bytesOf(token), expiresAtMs: expiresAtS * 1000, renewable: true };
      } catch (cause) {
        throw unavailable("sign", cause);
      }
    },
  };
}

/** Below this many milliseconds a ready-made token is replaced rather than used, when there is a way to replace it. */
const staleMs = 1000;

/** A token somebody else made, replaced by `refresh` when it runs out or was refused. */
export function readyPasswords(
  sharedAccessSignature: string,
  refresh: (() => string | Promise<string>) | undefined,
): PasswordSource {
  let current = readToken(sharedAccessSignature);
  return {
    async next(wallMs, fresh) {
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
export function givenPassword(password: string): PasswordSource {
  let bytes: Uint8Array;
  let expiresAtMs = Infinity;
  try {
    ({ bytes, expiresAtMs } = readToken(password));
  } catch {
    bytes = bytesOf(password);
  }
  const given: Password = { bytes, expiresAtMs, renewable: false };
  return { next: () => Promise.resolve(given) };
}

/** With X.509 the certificate of the TLS handshake is the proof. */
export function noPassword(): PasswordSource {
  const none: Password = { bytes: undefined, expiresAtMs: Infinity, renewable: false };
  return { next: () => Promise.resolve(none) };
}

function readToken(token: string): { bytes: Uint8Array; expiresAtMs: number } {
  return { bytes: bytesOf(token), expiresAtMs: parseSasToken(token).expiresAtS * 1000 };
}

const unavailable = (name: "sign" | "refresh", cause: unknown): IotError =>
  isIotError(cause)
    ? cause
    : new IotError("device.token_unavailable", `The ${name} function failed`, { cause });
