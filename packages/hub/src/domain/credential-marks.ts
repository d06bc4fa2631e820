import { createHash } from "node:crypto";
import type { Authentication } from "./services.ts";

/**
 * Names for what may let a device in, to tell later whether it still does: of keys a digest, so that nothing secret is kept
 * beside a connection. They are compared, never stored or shown.
 */
export type CredentialMark = string;

export const keyMark = (key: string): CredentialMark =>
  `key:${createHash("sha256").update(key).digest("base64")}`;

export const thumbprintMark = (thumbprint: string): CredentialMark =>
  `thumbprint:${thumbprint.toUpperCase()}`;

/** A certificate that an authority of the hub vouches for. */
export const authorityMark: CredentialMark = "authority";

/** A policy of the hub: it acts for every device that is registered for keys, whatever its keys are. */
export const policyMark: CredentialMark = "policy";

/** Everything that lets a device in that is registered like this. */
export function marksOf(authentication: Authentication): CredentialMark[] {
  if (authentication.type === "sas") {
    const { primaryKey, secondaryKey } = authentication;
    return [policyMark, keyMark(primaryKey), keyMark(secondaryKey)];
  }
  if (authentication.type === "certificateAuthority") return [authorityMark];
  const { primaryThumbprint, secondaryThumbprint } = authentication;
  return [primaryThumbprint, secondaryThumbprint].flatMap((text) =>
    text === undefined ? [] : [thumbprintMark(text)],
  );
}
