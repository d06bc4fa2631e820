import { signWith } from "../mqtt/world.ts";
import { IotError } from "@hubwire/protocol";
import { createAuthenticator } from "../../src/domain/auth/index.ts";
import type { AuthenticatorOptions, Policy } from "../../src/domain/auth/index.ts";
import { identityKey } from "../../src/domain/services.ts";
import type {
  Admission,
  Authentication,
  Authenticator,
  ConnectAttempt,
  Identity,
  ServicePermission,
} from "../../src/domain/services.ts";

export const nowMs = Date.now();
export const nowS = Math.floor(nowMs / 1000);
const key = (fill: number): string => Buffer.alloc(32, fill).toString("base64");
const keys: Record<string, string> = {
  primary: key(1),
  secondary: key(2),
  module: key(3),
  other: key(4),
  policy: key(5),
  policySecondary: key(6),
};

const all = ["RegistryRead", "RegistryReadWrite", "ServiceConnect", "DeviceConnect"] as const;
const policy = (name: string, permissions: readonly ServicePermission[]): Policy => ({
  name,
  permissions,
  primaryKey: keys["policy"]!,
  secondaryKey: keys["policySecondary"]!,
});
const policies = [
  policy("iothubowner", all),
  policy("service", ["ServiceConnect"]),
  policy("device", ["DeviceConnect"]),
  policy("registryRead", ["RegistryRead"]),
  policy("registryReadWrite", ["RegistryReadWrite"]),
];

export const identity = (path: string, rest: Partial<Identity> = {}): Identity => ({
  deviceId: path.split("/")[0]!,
  moduleId: path.split("/")[1],
  generationId: "638000000000000001",
  etag: "MQ==",
  status: "enabled",
  statusReason: undefined,
  statusUpdatedAtMs: undefined,
  authentication: { type: "sas", primaryKey: keys["primary"]!, secondaryKey: keys["secondary"]! },
  capabilities: { iotEdge: false },
  managedBy: undefined,
  ...rest,
});
const moduleKeys: Authentication = {
  type: "sas",
  primaryKey: keys["module"]!,
  secondaryKey: keys["module"]!,
};
const registry = [
  identity("dev1"),
  identity("dev1/mod1", { authentication: moduleKeys }),
  identity("n@m.et#st"),
  identity("off", { status: "disabled", statusReason: "stolen" }),
  identity("off/mod1", { authentication: moduleKeys }),
  identity("signed", { authentication: { type: "certificateAuthority" } }),
  identity("signed/mod1", { authentication: { type: "certificateAuthority" } }),
];

export function authenticator(
  options: Partial<AuthenticatorOptions> = {},
  more: Identity[] = [],
): Authenticator {
  const known = new Map([...registry, ...more].map((one) => [identityKey(one), one]));
  return createAuthenticator({
    identities: { find: async (ref) => known.get(identityKey(ref)) },
    policies,
    clock: { wallMs: () => nowMs },
    hostNames: ["hub.example.net", "localhost"],
    ...options,
  });
}

export const attempt = (rest: Partial<ConnectAttempt>): ConnectAttempt => ({
  clientId: "dev1",
  username: "hub.example.net/dev1/?api-version=2021-04-12",
  password: undefined,
  cleanSession: true,
  keepAliveS: 60,
  will: undefined,
  certificate: undefined,
  address: "203.0.113.7:4711",
  ...rest,
});

/** How the attempt went: the admission, or the code of the refusal. */
export async function outcome(
  attempting: Promise<Admission | void>,
): Promise<Admission | string | void> {
  try {
    return await attempting;
  } catch (error) {
    if (error instanceof IotError) return error.code;
    throw error;
  }
}

export type TokenCase = {
  name: string;
  sr: string;
  signedBy: string;
  seInS: number;
  skn?: string;
  raw?: string;
};

export async function tokenOf({ sr, signedBy, seInS, skn, raw }: TokenCase): Promise<string> {
  if (raw !== undefined) return raw;
  const se = nowS + seInS;
  const signature = encodeURIComponent(await signWith(keys[signedBy]!)(`${sr}\n${se}`));
  const policyName = skn === undefined ? "" : `&skn=${skn}`;
  return `SharedAccessSignature sr=${sr}&sig=${signature}&se=${se}${policyName}`;
}

export const x509Username = (path: string): Partial<ConnectAttempt> => ({
  clientId: path,
  username: `hub.example.net/${path}/?api-version=2021-04-12`,
});
