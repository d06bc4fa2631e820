import { IotError } from "../errors/iot-error.ts";
import { percentDecode, percentEncode } from "../iothub/percent.ts";
import { isIdScope, isRegistrationId } from "./registration-id.ts";

/** What the official SDKs send (observed in azure-iot-provisioning-device 1.9). */
export const dpsApiVersion = "2019-03-31";
/** Knows `csr` in a request and `issuedCertificateChain` in an answer (Azure DPS docs, preview). */
export const dpsCertificateApiVersion = "2025-07-01-preview";

/** The name of the key that every device's token carries. */
export const dpsPolicyName = "registration";

export type DpsUsername = {
  idScope: string;
  registrationId: string;
  apiVersion: string | undefined;
  /** The SDK's user agent, decoded. */
  clientVersion: string | undefined;
};

/** What a device signs: `{idScope}/registrations/{registrationId}`; the token's `skn` is `registration`. */
export const dpsSasResource = (idScope: string, registrationId: string): string =>
  `${idScope}/registrations/${registrationId}`;

/**
 * `{idScope}/registrations/{registrationId}/api-version=…[&ClientVersion=…]`; unlike the hub's, without a question mark.
 * @see Azure DPS docs, "Communicate with your DPS using the MQTT protocol"
 */
export function formatDpsUsername(username: {
  idScope: string;
  registrationId: string;
  apiVersion?: string | undefined;
  clientVersion?: string | undefined;
}): string {
  const { idScope, registrationId, apiVersion = dpsApiVersion, clientVersion } = username;
  const text = `${dpsSasResource(idScope, registrationId)}/api-version=${apiVersion}`;
  if (clientVersion === undefined) return text;
  const encoded = percentEncode(clientVersion);
  if (encoded !== undefined) return `${text}&ClientVersion=${encoded}`;
  throw new IotError("argument.invalid", "clientVersion is not well-formed Unicode text");
}

const USERNAME = /^([^/]+)\/registrations\/([^/]+)(?:\/\??([^/]*))?$/;

/** @returns undefined when it names no registration; the id comes in the case it was written in */
export function parseDpsUsername(text: string): DpsUsername | undefined {
  const [, idScope = "", registrationId = "", query = ""] = USERNAME.exec(text) ?? [];
  if (!isIdScope(idScope) || !isRegistrationId(registrationId)) return undefined;
  const value = (name: string): string | undefined => {
    const pair = query.split("&").find((one) => one.startsWith(`${name}=`));
    const raw = pair?.slice(name.length + 1);
    return raw === undefined ? undefined : (percentDecode(raw) ?? raw);
  };
  return {
    idScope,
    registrationId,
    apiVersion: value("api-version"),
    clientVersion: value("ClientVersion"),
  };
}
