import { IotError, twinTimestamp } from "@hubwire/protocol";
import type { JsonObject } from "@hubwire/protocol";
import type { Authentication, Identity, IdentityWrite, Presence } from "../../domain/services.ts";
import { member, requireObject, textMember } from "./json-body.ts";

/** A moment that has not come, as identities (unlike twins) write it: without zone. */
const noTime = "0001-01-01T00:00:00";
const timeText = (ms: number | undefined): string =>
  ms === undefined ? noTime : twinTimestamp(ms);

function formatAuthentication(authentication: Authentication): object {
  const keys = authentication.type === "sas" ? authentication : undefined;
  const thumbprints = authentication.type === "selfSigned" ? authentication : undefined;
  return {
    symmetricKey: {
      primaryKey: keys?.primaryKey ?? null,
      secondaryKey: keys?.secondaryKey ?? null,
    },
    x509Thumbprint: {
      primaryThumbprint: thumbprints?.primaryThumbprint ?? null,
      secondaryThumbprint: thumbprints?.secondaryThumbprint ?? null,
    },
    type: authentication.type,
  };
}

const connectionFacts = (presence: Presence) => ({
  connectionState: presence.connected ? "Connected" : "Disconnected",
  connectionStateUpdatedTime: timeText(presence.connectionStateUpdatedAtMs),
  lastActivityTime: timeText(presence.lastActivityAtMs),
});

/** Azure's Device, member for member. @see Azure IoT Hub REST API reference, "Device" */
export function formatDevice(
  identity: Identity,
  presence: Presence,
  cloudToDeviceMessageCount: number,
): object {
  const { deviceId, generationId, capabilities } = identity;
  const scope = `ms-azure-iot-edge://${deviceId}-${generationId}`;
  return {
    deviceId,
    generationId,
    etag: identity.etag,
    status: identity.status,
    statusReason: identity.statusReason ?? null,
    statusUpdatedTime: timeText(identity.statusUpdatedAtMs),
    ...connectionFacts(presence),
    cloudToDeviceMessageCount,
    authentication: formatAuthentication(identity.authentication),
    capabilities: { iotEdge: capabilities.iotEdge },
    ...(capabilities.iotEdge ? { deviceScope: scope, parentScopes: [] } : {}),
  };
}

/** Azure's Module. @see Azure IoT Hub REST API reference, "Module" */
export const formatModule = (identity: Identity, presence: Presence): object => ({
  moduleId: identity.moduleId,
  managedBy: identity.managedBy ?? null,
  deviceId: identity.deviceId,
  generationId: identity.generationId,
  etag: identity.etag,
  ...connectionFacts(presence),
  cloudToDeviceMessageCount: 0,
  authentication: formatAuthentication(identity.authentication),
});

/**
 * Reads the writable members of a Device or Module; the others are ignored, because callers send back what they read.
 * @throws IotError `argument.invalid`, `identity.id_mismatch`
 */
export function parseIdentityWrite(
  value: unknown,
  deviceId: string,
  moduleId: string | undefined,
): IdentityWrite {
  const body = requireObject(value, moduleId === undefined ? "The device" : "The module");
  requireSameId(textMember(body, "deviceId"), deviceId, "deviceId");
  if (moduleId !== undefined) requireSameId(textMember(body, "moduleId"), moduleId, "moduleId");
  const capabilities = requireObject(member(body, "capabilities") ?? {}, "capabilities");
  return {
    deviceId,
    moduleId,
    status: parseStatus(textMember(body, "status")),
    statusReason: textMember(body, "statusReason"),
    authentication: parseAuthentication(member(body, "authentication"), moduleId !== undefined),
    capabilities: { iotEdge: member(capabilities, "iotEdge") === true },
    managedBy: textMember(body, "managedBy"),
  };
}

function requireSameId(inBody: string | undefined, inAddress: string, name: string): void {
  if (inBody === undefined || inBody === inAddress) return;
  throw new IotError("identity.id_mismatch", `${name} in the body is not the one in the address`);
}

function parseStatus(text: string | undefined): "enabled" | "disabled" {
  const status = text?.toLowerCase() ?? "enabled";
  if (status === "enabled" || status === "disabled") return status;
  throw new IotError("argument.invalid", "status must be enabled or disabled");
}

function parseAuthentication(value: unknown, isModule: boolean): Authentication | undefined {
  if (value === undefined) return undefined;
  const body = requireObject(value, "authentication");
  const thumbprint = requireObject(member(body, "x509Thumbprint") ?? {}, "x509Thumbprint");
  const primary = textMember(thumbprint, "primaryThumbprint", "PrimaryThumbprint");
  const secondary = textMember(thumbprint, "secondaryThumbprint", "SecondaryThumbprint");
  const implied = (primary ?? "") === "" && (secondary ?? "") === "" ? "sas" : "selfSigned";
  const type = textMember(body, "type")?.toLowerCase() ?? implied.toLowerCase();
  if (type === "sas") return parseKeys(body);
  if (type === "certificateauthority") return { type: "certificateAuthority" };
  if (type === "selfsigned") {
    return {
      type: "selfSigned",
      primaryThumbprint: primary === "" ? undefined : primary,
      secondaryThumbprint: secondary === "" ? undefined : secondary,
    };
  }
  // A module without authentication of its own gets keys; a device must say what it has.
  if (type === "none" && isModule) return undefined;
  throw new IotError(
    "argument.invalid",
    "authentication.type must be sas, selfSigned or certificateAuthority",
  );
}

function parseKeys(body: JsonObject): Authentication {
  const keys = requireObject(member(body, "symmetricKey") ?? {}, "symmetricKey");
  return {
    type: "sas",
    primaryKey: textMember(keys, "primaryKey", "PrimaryKey") ?? "",
    secondaryKey: textMember(keys, "secondaryKey", "SecondaryKey") ?? "",
  };
}
