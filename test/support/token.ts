import { createHmac } from "node:crypto";
import { buildSasToken } from "@hubwire/protocol";

/** A token for any resource, signed with any key: wrong ones too. `expiresAtS` is Unix seconds, by default ten minutes ahead. */
export function sasToken(
  resource: string,
  key: string,
  options: { expiresAtS?: number; policyName?: string } = {},
): Promise<string> {
  const { expiresAtS = Math.floor(Date.now() / 1000) + 600, policyName } = options;
  const scope = { resource, expiresAtS, ...(policyName === undefined ? {} : { policyName }) };
  return buildSasToken(scope, async (text) =>
    createHmac("sha256", Buffer.from(key, "base64")).update(text).digest("base64"),
  );
}

export const deviceToken = (hostName: string, deviceId: string, key: string): Promise<string> =>
  sasToken(`${hostName}/devices/${deviceId}`, key);
