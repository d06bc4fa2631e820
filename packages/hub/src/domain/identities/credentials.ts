import { IotError, isCanonicalKey } from "@hubwire/protocol";
import { marksOf } from "../credential-marks.ts";
import type { Authentication } from "../services.ts";
import { mintKey, type RandomBytes } from "./mint.ts";

function checkKey(name: string, key: string): void {
  if (isCanonicalKey(key)) return;
  throw new IotError("identity.bad_key", `${name} is not base64 of 16 to 64 bytes`);
}

function checkThumbprint(name: string, thumbprint: string | undefined): void {
  if (thumbprint === undefined || /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/i.test(thumbprint)) return;
  throw new IotError(
    "identity.bad_thumbprint",
    `${name} is not a thumbprint: 40 or 64 hexadecimal digits without colons (StringIsNotThumbprint)`,
  );
}

/**
 * What an identity will authenticate with: as asked, or with keys made here where none were given (no authentication at
 * all, or empty key strings as the Node service SDK sends them).
 * @throws IotError `identity.bad_key`, `identity.bad_thumbprint`
 */
export function completeAuthentication(
  wanted: Authentication | undefined,
  randomBytes: RandomBytes,
): Authentication {
  const { primaryKey = "", secondaryKey = "" } = wanted?.type === "sas" ? wanted : {};
  if (wanted === undefined || wanted.type === "sas") {
    if (primaryKey === "" && secondaryKey === "") {
      return {
        type: "sas",
        primaryKey: mintKey(randomBytes),
        secondaryKey: mintKey(randomBytes),
      };
    }
    checkKey("primaryKey", primaryKey);
    checkKey("secondaryKey", secondaryKey);
    return { type: "sas", primaryKey, secondaryKey };
  }
  if (wanted.type === "certificateAuthority") return { type: "certificateAuthority" };
  checkThumbprint("primaryThumbprint", wanted.primaryThumbprint);
  checkThumbprint("secondaryThumbprint", wanted.secondaryThumbprint);
  if (wanted.primaryThumbprint === undefined && wanted.secondaryThumbprint === undefined) {
    throw new IotError("identity.bad_thumbprint", "selfSigned authentication needs a thumbprint");
  }
  return {
    type: "selfSigned",
    primaryThumbprint: wanted.primaryThumbprint,
    secondaryThumbprint: wanted.secondaryThumbprint,
  };
}

/**
 * Whether something that let the device in before no longer does. Adding a key or swapping the two takes nothing away.
 */
export function losesCredential(before: Authentication, after: Authentication): boolean {
  const good = new Set(marksOf(after));
  return marksOf(before).some((credential) => !good.has(credential));
}
