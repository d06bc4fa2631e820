import { createHmac, timingSafeEqual } from "node:crypto";
import { IotError, parseSasToken, verifySasSignature } from "@hubwire/protocol";
import type { ParsedSasToken } from "@hubwire/protocol";
import { permits } from "./policies.ts";
import type { Policy } from "./policies.ts";
import type { ServicePermission } from "../services.ts";

/**
 * The single checks of a shared access signature. Each failure has its own code and tells times, ids and names; never
 * the token, its signature or a key.
 */

/** @throws IotError `auth.token_malformed` */
export function readToken(text: string): ParsedSasToken {
  try {
    return parseSasToken(text);
  } catch (error) {
    if (!(error instanceof IotError)) throw error;
    throw new IotError("auth.token_malformed", error.message);
  }
}

/** @throws IotError `auth.policy_unknown`, `auth.policy_permission` */
export function requirePolicy(
  token: ParsedSasToken,
  policies: readonly Policy[],
  permission: ServicePermission,
): Policy {
  const { policyName } = token;
  if (policyName === undefined) {
    throw new IotError("auth.policy_unknown", "The token names no policy (skn)");
  }
  const policy = policies.find(({ name }) => name === policyName);
  if (policy === undefined) {
    throw new IotError("auth.policy_unknown", `The hub has no policy named ${quote(policyName)}`);
  }
  if (!permits(policy, permission)) {
    throw new IotError(
      "auth.policy_permission",
      `Policy ${policy.name} has ${policy.permissions.join(", ")}, and this needs ${permission}`,
    );
  }
  return policy;
}

/** @throws IotError `auth.token_scope` */
export function requireScope(token: ParsedSasToken, covers: boolean, wanted: string): void {
  if (covers) return;
  throw new IotError(
    "auth.token_scope",
    `The token is for ${quote(token.resource)}, and this needs ${wanted}`,
  );
}

/**
 * @returns which of the keys signed: one, or both when they are the same
 * @throws IotError `auth.token_signature`
 */
export function requireSignature(
  token: ParsedSasToken,
  keys: { primaryKey: string; secondaryKey: string },
  owner: string,
): string[] {
  const signedWith = [keys.primaryKey, keys.secondaryKey].filter((key) =>
    verifySasSignature(token, [key], hmacSha256Base64),
  );
  if (signedWith.length > 0) return signedWith;
  throw new IotError(
    "auth.token_signature",
    `The signature was made with neither the primary nor the secondary key of ${owner}`,
  );
}

/** @throws IotError `auth.token_expired` */
export function requireUnexpired(token: ParsedSasToken, nowMs: number, toleranceS: number): void {
  if (nowMs <= (token.expiresAtS + toleranceS) * 1000) return;
  const behindS = Math.floor(nowMs / 1000 - token.expiresAtS);
  throw new IotError(
    "auth.token_expired",
    `The token expired at ${isoTime(token.expiresAtS * 1000)}, ${behindS} s before the hub's time ` +
      `${isoTime(nowMs)} (tolerance ${toleranceS} s)`,
  );
}

const hmacSha256Base64 = (keyBytes: Uint8Array, text: string): string =>
  createHmac("sha256", keyBytes).update(text).digest("base64");

/** Case-insensitive comparison of two hex texts in constant time. */
export function sameHex(a: string, b: string): boolean {
  const left = Buffer.from(a.toUpperCase(), "latin1");
  const right = Buffer.from(b.toUpperCase(), "latin1");
  return left.length === right.length && timingSafeEqual(left, right);
}

export function isoTime(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? `${ms} ms` : date.toISOString();
}

/** Text from a peer, made safe for one log line. */
export function quote(text: string): string {
  const shown = text.length > 200 ? `${text.slice(0, 200)}…` : text;
  return JSON.stringify(shown);
}
