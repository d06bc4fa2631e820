import type { CredentialProvider } from "@hubwire/device";
import { buildSasToken, IotError, sasResource } from "@hubwire/protocol";
import { pkcs11Sign } from "./sign.ts";
import type { Pkcs11SignOptions } from "./sign.ts";

export type Pkcs11SasOptions = Pkcs11SignOptions & {
  /** The shared access policy whose key it is; left out for the device's own key. */
  sharedAccessKeyName?: string | undefined;
  /** How long each token is good, 3600 seconds, 10 to 31,622,400 (366 days). */
  tokenLifetimeS?: number | undefined;
};

/**
 * A new SAS token for every connection, signed by a key that stays in its PKCS#11 token. Closed with the client.
 * @throws IotError `argument.invalid`
 */
export function pkcs11SasCredentials(options: Pkcs11SasOptions): CredentialProvider {
  const { sharedAccessKeyName, tokenLifetimeS = 3_600 } = options;
  if (!Number.isInteger(tokenLifetimeS) || tokenLifetimeS < 10 || tokenLifetimeS > 366 * 86_400)
    throw new IotError("argument.invalid", "tokenLifetimeS is a whole number from 10 to 31622400");
  const sign = pkcs11Sign(options);
  return {
    async next(scope, { wallMs }) {
      const expiresAtS = Math.floor(wallMs / 1000) + tokenLifetimeS;
      const { hostName, deviceId, moduleId } = scope;
      const identity = moduleId === undefined ? { deviceId } : { deviceId, moduleId };
      const resource = scope.resource ?? sasResource(hostName, identity);
      const policyName = scope.policyName ?? sharedAccessKeyName;
      const token = await buildSasToken({ resource, policyName, expiresAtS }, sign);
      const password = Buffer.from(token, "utf8");
      return { password, tls: undefined, expiresAtMs: expiresAtS * 1000, renewable: true };
    },
    close: () => void sign.close(),
  };
}
