import { IotError } from "../errors/iot-error.ts";
import type { DeviceIdentity } from "./identity-id.ts";
import { percentDecode, percentEncode } from "./percent.ts";

/** What a token grants: `resource` without scheme, not escaped; until Unix time in whole **seconds**. */
export type SasScope = {
  resource: string;
  expiresAtS: number;
  /** The shared access policy whose key signs; leave it out for a device's or module's own key. */
  policyName?: string | undefined;
};

/** HMAC-SHA256 of `text`, base64. Async because in a TPM the key never leaves the chip. */
export type Sign = (text: string) => Promise<string>;

/** A token taken apart. `raw…` are the literal characters: the signature is over these, and hex case matters. */
export type ParsedSasToken = {
  rawResource: string;
  rawExpiry: string;
  /** `rawResource` percent-decoded once (verbatim if it is not percent-encoded text). */
  resource: string;
  /** Base64 text, percent-decoded; a bare `+` is a plus. */
  signature: string;
  /** Unix seconds. May lie absurdly far ahead: some service SDKs send milliseconds. */
  expiresAtS: number;
  policyName?: string;
};

const PREFIX = "SharedAccessSignature ";
/** Far above every real token, well below anything that hurts to scan (characters). */
const tokenCharactersMax = 8192;
const secondsEnd = 1e11;

/**
 * The resource a device or module signs: its id encoded once here and once more inside the token, which is what the
 * hub expects for ids with special characters; for plain ids it makes no difference.
 */
export function sasResource(hostName: string, identity?: DeviceIdentity): string {
  if (identity === undefined) return hostName;
  const device = `${hostName}/devices/${encode(identity.deviceId)}`;
  return identity.moduleId === undefined
    ? device
    : `${device}/modules/${encode(identity.moduleId)}`;
}

/**
 * Builds a shared access signature: a device's MQTT password, a service's `Authorization` header.
 * @returns `SharedAccessSignature sr={escaped}&sig={escaped}&se={seconds}[&skn={policy}]`
 * @throws IotError `sas.expiry_not_seconds`, `sas.empty_resource`
 * @see Azure IoT Hub docs, "SAS token structure"; worked values in `vectors/sas-token.json`
 */
export async function buildSasToken(scope: SasScope, sign: Sign): Promise<string> {
  const se = scope.expiresAtS;
  if (!Number.isInteger(se) || se < 0 || se >= secondsEnd) {
    throw new IotError("sas.expiry_not_seconds", `SAS expiry ${se} is not Unix seconds`);
  }
  if (scope.resource === "") throw new IotError("sas.empty_resource", "The resource is empty");
  const sr = encode(scope.resource);
  const sig = encode(await sign(`${sr}\n${se}`));
  const skn = scope.policyName === undefined ? "" : `&skn=${encode(scope.policyName)}`;
  return `${PREFIX}sr=${sr}&sig=${sig}&se=${se}${skn}`;
}

/**
 * Takes a token apart, whoever wrote it: fields in any order, each at most once, unknown ones ignored.
 * @throws IotError `sas.malformed`; its message never shows the signature
 */
export function parseSasToken(text: string): ParsedSasToken {
  if (!text.startsWith(PREFIX)) throw malformed("it does not begin with SharedAccessSignature");
  if (text.length > tokenCharactersMax) throw malformed("it is too long");
  const fields: { sr?: string; sig?: string; se?: string; skn?: string } = {};
  for (const pair of text.slice(PREFIX.length).split("&")) {
    const equals = pair.indexOf("=");
    const name = equals < 0 ? pair : pair.slice(0, equals);
    if (name !== "sr" && name !== "sig" && name !== "se" && name !== "skn") continue;
    if (equals < 0) throw malformed(`${name} has no value`);
    if (fields[name] !== undefined) throw malformed(`${name} appears twice`);
    fields[name] = pair.slice(equals + 1);
  }
  const { sr, sig, se, skn } = fields;
  if (sr === undefined || sr === "") throw malformed("sr (the resource) is missing");
  if (sig === undefined || sig === "") throw malformed("sig (the signature) is missing");
  if (se === undefined || !/^\d{1,15}$/.test(se))
    throw malformed("se (the expiry) is not a number");
  const signature = percentDecode(sig);
  if (signature === undefined) throw malformed("sig is not percent-encoded text");
  const parsed: ParsedSasToken = {
    rawResource: sr,
    rawExpiry: se,
    resource: percentDecode(sr) ?? sr,
    signature,
    expiresAtS: Number(se),
  };
  // An empty skn is written by tools that always print the field: it means a device's own key.
  if (skn !== undefined && skn !== "") parsed.policyName = percentDecode(skn) ?? skn;
  return parsed;
}

/** What was signed: the literal characters, never decoded and encoded again. */
export const sasStringToSign = (parsed: ParsedSasToken): string =>
  `${parsed.rawResource}\n${parsed.rawExpiry}`;

function encode(text: string): string {
  const encoded = percentEncode(text);
  if (encoded === undefined) {
    throw new IotError("argument.invalid", "A token's field is not well-formed Unicode text");
  }
  return encoded;
}

const malformed = (why: string): IotError =>
  new IotError("sas.malformed", `Not a shared access signature: ${why}`);
