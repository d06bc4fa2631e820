import { decodeBase64Lenient } from "./base64.ts";
import { percentDecode } from "./percent.ts";
import { sasStringToSign } from "./sas-token.ts";
import type { ParsedSasToken } from "./sas-token.ts";

/**
 * Whether one of `keys` (base64 text) made the signature. Takes the same time whichever key it was, and however much of
 * the signature is right. Empty keys are skipped: anybody could sign with one.
 * @param hmacSha256Base64 HMAC-SHA256 of the UTF-8 text, as canonical base64
 */
export function verifySasSignature(
  parsed: ParsedSasToken,
  keys: readonly string[],
  hmacSha256Base64: (keyBytes: Uint8Array, text: string) => string,
): boolean {
  const text = sasStringToSign(parsed);
  let good = 0;
  for (const key of keys) {
    const keyBytes = decodeBase64Lenient(key);
    if (keyBytes.length === 0) continue;
    good |= sameText(hmacSha256Base64(keyBytes, text), parsed.signature);
  }
  return good === 1;
}

/** 1 when equal, 0 when not, in time that depends on the lengths only. */
function sameText(expected: string, given: string): 0 | 1 {
  let difference = expected.length ^ given.length;
  for (let i = 0; i < expected.length; i++) {
    // Beyond the end charCodeAt is NaN, which xor reads as 0; the lengths differ then anyway.
    difference |= expected.charCodeAt(i) ^ given.charCodeAt(i);
  }
  return difference === 0 ? 1 : 0;
}

/**
 * Whether the token is for this device or module. Matches whole path segments, so a token for `host/devices` covers
 * every device and one for `host/devices/a` never `ab`; ids may be encoded once or twice; a last segment
 * `api-version=…` (old tools) is dropped. Host and the words devices/modules ignore case, ids do not.
 * @param target `hostNames`: every name this hub answers to; one without a port matches any port
 */
export function sasCovers(
  parsed: ParsedSasToken,
  target: { hostNames: readonly string[]; deviceId: string; moduleId?: string | undefined },
): boolean {
  const path = ["devices", target.deviceId];
  if (target.moduleId !== undefined) path.push("modules", target.moduleId);
  return covers(parsed, target.hostNames, path);
}

/**
 * Whether a policy's token covers a path of the hub's own API, `[]` being the whole hub.
 * @param pathSegments decoded, such as ["twins", "dev1"]
 */
export function sasCoversHub(
  parsed: ParsedSasToken,
  hostNames: readonly string[],
  pathSegments: readonly string[] = [],
): boolean {
  return covers(parsed, hostNames, pathSegments);
}

function covers(
  parsed: ParsedSasToken,
  hostNames: readonly string[],
  path: readonly string[],
): boolean {
  const [host = "", ...granted] = parsed.resource.split("/");
  if (granted.at(-1) === "") granted.pop();
  if (granted.at(-1)?.startsWith("api-version=") === true) granted.pop();
  if (granted.length > path.length) return false;
  if (!hostNames.some((name) => sameHost(name, host))) return false;
  return granted.every((segment, i) => sameSegment(segment, path[i] ?? "", i % 2 === 0));
}

/** Collections sit at even places of a path, ids at odd ones. */
function sameSegment(granted: string, wanted: string, isCollection: boolean): boolean {
  if (isCollection) return granted.toLowerCase() === wanted.toLowerCase();
  return granted === wanted || percentDecode(granted) === wanted;
}

const PORT = /:\d{1,5}$/;

function sameHost(name: string, given: string): boolean {
  const accepted = name.toLowerCase();
  const host = given.toLowerCase();
  return host === accepted || host.replace(PORT, "") === accepted;
}
