import { IotError } from "@hubwire/protocol";
import type { DocumentStore } from "../ports.ts";
import type { ServicePermission } from "../services.ts";

export type Policy = {
  name: string;
  permissions: readonly ServicePermission[];
  /** Base64 of 32 random bytes, made when the hub is created. */
  primaryKey: string;
  secondaryKey: string;
};

const KEY = "policies";
const keyBytes = 32;

/** Azure IoT Hub docs, "Access control and permissions": the five policies a new hub has. */
const builtIn: readonly { name: string; permissions: readonly ServicePermission[] }[] = [
  {
    name: "iothubowner",
    permissions: ["RegistryRead", "RegistryReadWrite", "ServiceConnect", "DeviceConnect"],
  },
  { name: "service", permissions: ["ServiceConnect"] },
  { name: "device", permissions: ["DeviceConnect"] },
  { name: "registryRead", permissions: ["RegistryRead"] },
  { name: "registryReadWrite", permissions: ["RegistryRead", "RegistryReadWrite"] },
];

/** Reads the hub's policies; the first start makes them, with keys of their own for every hub. */
export async function ensurePolicies(
  documents: DocumentStore,
  randomBytes: (length: number) => Uint8Array,
): Promise<readonly Policy[]> {
  const stored = await documents.get("hub", KEY);
  if (stored !== undefined) return read(stored.value);
  const key = (): string => Buffer.from(randomBytes(keyBytes)).toString("base64");
  const policies = builtIn.map((policy) => ({
    ...policy,
    primaryKey: key(),
    secondaryKey: key(),
  }));
  const written = await documents.put("hub", KEY, { policies }, "absent");
  // Another hub on the same store was first: its keys are the hub's keys.
  return written.ok ? policies : read(written.current?.value);
}

/**
 * What a back end puts into its configuration.
 * @throws IotError `auth.policy_unknown`
 */
export function serviceConnectionString(
  policies: readonly Policy[],
  hostName: string,
  policyName = "iothubowner",
): string {
  const policy = policies.find(({ name }) => name === policyName);
  if (policy === undefined) {
    throw new IotError("auth.policy_unknown", `The hub has no policy named ${policyName}`);
  }
  return `HostName=${hostName};SharedAccessKeyName=${policy.name};SharedAccessKey=${policy.primaryKey}`;
}

export const permits = (policy: Policy, permission: ServicePermission): boolean =>
  policy.permissions.includes(permission) ||
  (permission === "RegistryRead" && policy.permissions.includes("RegistryReadWrite"));

function read(value: unknown): readonly Policy[] {
  const policies = (value as { policies?: readonly Policy[] } | undefined)?.policies;
  if (!Array.isArray(policies)) {
    throw new IotError("hub.data_corrupt", "The hub's policies document has no list of policies");
  }
  return policies;
}
