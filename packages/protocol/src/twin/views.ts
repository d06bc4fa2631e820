import { twinEtag, withVersion } from "./document.ts";
import type { TwinDocument, TwinSection } from "./document.ts";
import { emptyObject } from "./json.ts";
import type { JsonObject } from "./json.ts";
import { own } from "./merge-patch.ts";

/** What the identity registry knows and the whole twin shows. Times are ISO 8601 text. */
export type TwinIdentityFacts = {
  deviceId: string;
  moduleId?: string | undefined;
  /** The identity's etag, unquoted. */
  deviceEtag: string;
  status: "enabled" | "disabled";
  statusReason?: string | undefined;
  statusUpdateTime: string;
  connectionState: "Connected" | "Disconnected";
  lastActivityTime: string;
  cloudToDeviceMessageCount: number;
  authenticationType: "sas" | "selfSigned" | "certificateAuthority" | "none";
  x509Thumbprint: { primaryThumbprint: string | null; secondaryThumbprint: string | null };
  /** "" when no model id was announced. */
  modelId?: string | undefined;
  iotEdge?: boolean | undefined;
  deviceScope?: string | undefined;
  parentScopes?: readonly string[] | undefined;
};

/** The answer to a device's twin GET: no metadata, no tags, no root members. */
export const twinForDevice = (
  twin: TwinDocument,
): { desired: JsonObject; reported: JsonObject } => ({
  desired: withVersion(twin.desired.properties, twin.desired.version),
  reported: withVersion(twin.reported.properties, twin.reported.version),
});

/** The whole twin as the service REST API gives it, members in the order real hubs write them. */
export function twinForService(twin: TwinDocument, facts: TwinIdentityFacts): JsonObject {
  return {
    deviceId: facts.deviceId,
    ...(facts.moduleId === undefined ? {} : { moduleId: facts.moduleId }),
    etag: twinEtag(twin),
    deviceEtag: facts.deviceEtag,
    status: facts.status,
    ...(facts.statusReason === undefined ? {} : { statusReason: facts.statusReason }),
    statusUpdateTime: facts.statusUpdateTime,
    connectionState: facts.connectionState,
    lastActivityTime: facts.lastActivityTime,
    cloudToDeviceMessageCount: facts.cloudToDeviceMessageCount,
    authenticationType: facts.authenticationType,
    x509Thumbprint: {
      primaryThumbprint: facts.x509Thumbprint.primaryThumbprint,
      secondaryThumbprint: facts.x509Thumbprint.secondaryThumbprint,
    },
    modelId: facts.modelId ?? "",
    version: twin.version,
    tags: twin.tags,
    properties: {
      desired: sectionForService(twin.desired),
      reported: sectionForService(twin.reported),
    },
    capabilities: { iotEdge: facts.iotEdge ?? false },
    ...(facts.deviceScope === undefined ? {} : { deviceScope: facts.deviceScope }),
    ...(facts.parentScopes === undefined ? {} : { parentScopes: [...facts.parentScopes] }),
  };
}

function sectionForService(section: TwinSection): JsonObject {
  const copy = emptyObject();
  for (const key of Object.keys(section.properties)) {
    copy[key] = own(section.properties, key) ?? null;
  }
  copy["$metadata"] = section.metadata;
  copy["$version"] = section.version;
  return copy;
}
