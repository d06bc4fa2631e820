import {
  IotError,
  parseClientId,
  parseMqttUsername,
  sasCovers,
  sasCoversHub,
} from "@hubwire/protocol";
import type { MqttUsername, ParsedSasToken } from "@hubwire/protocol";
import type { Clock } from "@hubwire/transport";
import { isShownId } from "./shown-id.ts";
import { authMethodOf } from "./auth-method.ts";
import { parseDeviceCas } from "./certificate-chain.ts";
import type { DeviceCa } from "./certificate-chain.ts";
import { certificateMarks, requireCertificate } from "./certificates.ts";
import type { Policy } from "./policies.ts";
import {
  quote,
  readToken,
  requirePolicy,
  requireScope,
  requireSignature,
  requireUnexpired,
} from "./tokens.ts";
import { VerifiedTokens } from "./verified-tokens.ts";
import { keyMark, policyMark } from "../credential-marks.ts";
import type { CredentialMark } from "../credential-marks.ts";
import { identityKey } from "../services.ts";
import type {
  Admission,
  Authenticator,
  ConnectAttempt,
  Identities,
  Identity,
  IdentityRef,
  ServicePermission,
} from "../services.ts";

export type AuthenticatorOptions = {
  identities: Pick<Identities, "find">;
  policies: readonly Policy[];
  clock: Pick<Clock, "wallMs">;
  /** Every name this hub answers to, without port; empty takes any name. */
  hostNames: readonly string[];
  /** How far a token's expiry may lie in the past at CONNECT (seconds; the real service's stated clock drift is 5 minutes). */
  clockToleranceS?: number;
  /** How long a session outlives its token (seconds, 0 to 600; on the real service 5 to 10 minutes). */
  expiryGraceS?: number;
  /** Refuse a CONNECT without user name even with a valid certificate, as Azure does. */
  strictUserName?: boolean;
  /** PEM texts of the CAs whose certificates name devices by their CN. */
  deviceCas?: readonly string[];
  /** CAs that were proven since, looked up at each CONNECT. */
  provenCas?: () => readonly DeviceCa[];
};

export const defaultClockToleranceS = 300;
export const defaultExpiryGraceS = 300;
const expiryGraceSMax = 600;

type Checked = Omit<AuthenticatorOptions, "deviceCas"> & {
  clockToleranceS: number;
  expiryGraceS: number;
  strictUserName: boolean;
  deviceCas: readonly DeviceCa[];
  verified: VerifiedTokens;
};

/** @throws IotError `argument.invalid` for an option out of range or a CA that is none */
export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const checked: Checked = {
    ...options,
    clockToleranceS: seconds("clockToleranceS", options.clockToleranceS, defaultClockToleranceS),
    expiryGraceS: seconds("expiryGraceS", options.expiryGraceS, defaultExpiryGraceS),
    strictUserName: options.strictUserName ?? false,
    deviceCas: parseDeviceCas(options.deviceCas ?? []),
    verified: new VerifiedTokens(),
  };
  if (checked.expiryGraceS > expiryGraceSMax) {
    throw new IotError("argument.invalid", `expiryGraceS is at most ${expiryGraceSMax}`);
  }
  return {
    authenticateDevice: (attempt) => authenticateDevice(attempt, checked),
    authorizeService: async (authorization, permission, path = []) =>
      authorizeService(authorization, permission, path, checked),
  };
}

async function authenticateDevice(attempt: ConnectAttempt, options: Checked): Promise<Admission> {
  const claim = readClaim(attempt, options);
  const identity = await requireIdentity(claim.ref, options.identities);
  const { ref } = claim;
  const common = { ref, generationId: identity.generationId, modelId: claim.modelId };
  if (identity.authentication.type === "sas") {
    const by = checkToken(attempt, claim, identity, identity.authentication, options);
    const expiresAtMs = (by.expiresAtS + options.expiryGraceS) * 1000;
    const authMethod = authMethodOf(ref, by.owner);
    return { ...common, authMethod, credentials: by.credentials, expiresAtMs, warning: undefined };
  }
  if (attempt.certificate === undefined) {
    throw attempt.password === undefined || attempt.password === ""
      ? new IotError("auth.certificate_missing", `${identityKey(ref)} presented no certificate`)
      : wrongType(identity, "a token");
  }
  const cas = [...options.deviceCas, ...(options.provenCas?.() ?? [])];
  requireCertificate(identity, attempt.certificate, cas, options.clock.wallMs());
  const warning = claim.isByClientId
    ? `CONNECT of ${identityKey(ref)} has no user name; taken by its certificate and client id. Azure refuses this.`
    : undefined;
  return {
    ...common,
    authMethod: authMethodOf(ref, "certificate"),
    credentials: certificateMarks(identity.authentication, attempt.certificate),
    expiresAtMs: undefined,
    warning,
  };
}

/** Who the CONNECT says it is; nothing is proven yet. */
type Claim = {
  ref: IdentityRef;
  modelId: string | undefined;
  hostNames: readonly string[];
  isByClientId: boolean;
};

function readClaim(attempt: ConnectAttempt, options: Checked): Claim {
  if (attempt.clientId === "") {
    throw new IotError("auth.client_id_empty", "The client id is empty");
  }
  if (attempt.username === undefined || attempt.username === "") {
    if (options.strictUserName || attempt.certificate === undefined) {
      throw new IotError("auth.username_missing", "CONNECT carries no user name");
    }
    const { deviceId, moduleId } = parseClientId(attempt.clientId);
    const ref = { deviceId, moduleId };
    return { ref, modelId: undefined, hostNames: options.hostNames, isByClientId: true };
  }
  const username = parseMqttUsername(attempt.username);
  requireHost(username, options.hostNames);
  const ref = { deviceId: username.deviceId, moduleId: username.moduleId };
  if (attempt.clientId !== identityKey(ref)) {
    throw new IotError(
      "auth.client_id_mismatch",
      `The client id is ${shownId(attempt.clientId)}, the user name names ${shownId(identityKey(ref))}`,
    );
  }
  const hostNames = options.hostNames.length === 0 ? [username.hostName] : options.hostNames;
  return { ref, modelId: username.modelId, hostNames, isByClientId: false };
}

/** Nothing that may be a token is repeated in an error. */
const shownId = (id: string): string => (isShownId(id) ? quote(id) : "no id");

function requireHost({ hostName }: MqttUsername, hostNames: readonly string[]): void {
  const given = hostName.toLowerCase();
  const bare = given.replace(/:\d{1,5}$/, "");
  const known = hostNames.some((name) => [given, bare].includes(name.toLowerCase()));
  if (known || hostNames.length === 0) return;
  // Somebody may have put a token where the host belongs.
  const shown = /^[\w.:-]{1,255}$/.test(hostName) ? hostName : "something that is no host name";
  throw new IotError(
    "auth.host_mismatch",
    `The user name is for ${shown}; this hub is ${hostNames.join(", ")}`,
  );
}

async function requireIdentity(
  ref: IdentityRef,
  identities: Pick<Identities, "find">,
): Promise<Identity> {
  const device = await identities.find({ deviceId: ref.deviceId, moduleId: undefined });
  if (device === undefined) {
    throw new IotError("auth.device_unknown", `No device ${quote(ref.deviceId)} is registered`);
  }
  // A disabled device takes its modules with it.
  requireEnabled(device);
  if (ref.moduleId === undefined) return device;
  const module = await identities.find(ref);
  if (module === undefined) {
    throw new IotError(
      "auth.module_unknown",
      `Device ${quote(ref.deviceId)} has no module ${quote(ref.moduleId)}`,
    );
  }
  requireEnabled(module);
  return module;
}

function requireEnabled(identity: Identity): void {
  if (identity.status === "enabled") return;
  const why = identity.statusReason === undefined ? "" : `: ${quote(identity.statusReason)}`;
  throw new IotError("auth.device_disabled", `${identityKey(identity)} is disabled${why}`);
}

function checkToken(
  attempt: ConnectAttempt,
  claim: Claim,
  identity: Identity,
  keys: { primaryKey: string; secondaryKey: string },
  options: Checked,
): { expiresAtS: number; owner: "key" | "policy"; credentials: CredentialMark[] } {
  const key = identityKey(claim.ref);
  if (attempt.password === undefined || attempt.password === "") {
    if (attempt.certificate !== undefined) throw wrongType(identity, "a certificate");
    throw new IotError("auth.missing_password", `${key} sent no token`);
  }
  const token = readToken(attempt.password);
  const target = {
    hostNames: claim.hostNames,
    deviceId: claim.ref.deviceId,
    moduleId: claim.ref.moduleId,
  };
  const isPolicy = token.policyName !== undefined;
  const policy = isPolicy ? requirePolicy(token, options.policies, "DeviceConnect") : undefined;
  const fits = sasCovers(token, target) && (policy !== undefined || namesOneIdentity(token, claim));
  requireScope(token, fits, resourceOf(claim));
  const owner = policy === undefined ? key : `policy ${policy.name}`;
  const signedWith = requireSignature(token, policy ?? keys, owner);
  requireUnexpired(token, options.clock.wallMs(), options.clockToleranceS);
  const { expiresAtS } = token;
  return policy === undefined
    ? { expiresAtS, owner: "key", credentials: signedWith.map(keyMark) }
    : { expiresAtS, owner: "policy", credentials: [policyMark] };
}

function authorizeService(
  authorization: string | undefined,
  permission: ServicePermission,
  path: readonly string[],
  options: Checked,
): void {
  if (authorization === undefined || authorization === "") {
    throw new IotError("auth.missing_authorization", "The request has no Authorization header");
  }
  const verified = options.verified.get(authorization);
  const token = verified ?? readToken(authorization);
  const policy = requirePolicy(token, options.policies, permission);
  const anyHost = [token.resource.split("/")[0] ?? ""];
  const hostNames = options.hostNames.length === 0 ? anyHost : options.hostNames;
  requireScope(
    token,
    sasCoversHub(token, hostNames, path),
    [hostNames[0] ?? "this hub", ...path].join("/"),
  );
  if (verified === undefined) {
    requireSignature(token, policy, `policy ${policy.name}`);
    options.verified.add(authorization, token);
  }
  requireUnexpired(token, options.clock.wallMs(), options.clockToleranceS);
}

/** An identity's own key signs for exactly this identity; only a policy's may sign for all devices or the whole hub. */
function namesOneIdentity(token: ParsedSasToken, { ref }: Claim): boolean {
  const segments = token.resource.split("/").filter((segment) => segment !== "");
  if (segments.at(-1)?.startsWith("api-version=") === true) segments.pop();
  return segments.length === (ref.moduleId === undefined ? 3 : 5);
}

const resourceOf = ({ ref, hostNames }: Claim): string =>
  `${hostNames[0]}/devices/${ref.deviceId}` +
  (ref.moduleId === undefined ? "" : `/modules/${ref.moduleId}`);

const wrongType = (identity: Identity, used: string): IotError =>
  new IotError(
    "auth.wrong_type",
    `${identityKey(identity)} is registered for ${identity.authentication.type} and came with ${used}`,
  );

function seconds(name: string, value: number | undefined, fallback: number): number {
  if (value === undefined) return fallback;
  if (Number.isFinite(value) && value >= 0) return value;
  throw new IotError("argument.invalid", `${name} is not a number of seconds from 0`);
}
