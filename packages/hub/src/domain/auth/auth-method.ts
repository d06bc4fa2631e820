import type { IdentityRef } from "../services.ts";

const method = (scope: string, type: string, issuer: string): string =>
  `{"scope":"${scope}","type":"${type}","issuer":"${issuer}","acceptingIpFilterRule":null}`;

/**
 * The JSON texts of `iothub-connection-auth-method` (Azure IoT Hub docs, "Anti-spoofing properties"). A closed list in a
 * fixed order: telemetry records refer to its entries by position, so entries are only ever added at the end.
 */
export const authMethods = [
  method("device", "sas", "iothub"),
  method("module", "sas", "iothub"),
  method("hub", "sas", "iothub"),
  method("device", "x509", "external"),
  method("module", "x509", "external"),
] as const;

export type AuthMethod = (typeof authMethods)[number];

export function authMethodOf(ref: IdentityRef, by: "key" | "policy" | "certificate"): AuthMethod {
  if (by === "policy") return authMethods[2];
  const isModule = ref.moduleId !== undefined;
  if (by === "certificate") return isModule ? authMethods[4] : authMethods[3];
  return isModule ? authMethods[1] : authMethods[0];
}
