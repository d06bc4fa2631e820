import type { TwinIdentityFacts } from "@hubwire/protocol";
import { twinTimestamp } from "@hubwire/protocol";
import type { Identity, Presence } from "../services.ts";

/** What the service writes for a moment that has not come yet. */
export const noTime = "0001-01-01T00:00:00Z";

const timeText = (ms: number | undefined): string =>
  ms === undefined ? noTime : twinTimestamp(ms);

/** What the registry and the connections know, for the whole twin (reference: twin JSON of the service REST API). */
export function factsOf(
  identity: Identity,
  presence: Presence,
  cloudToDeviceMessageCount: number,
  modelId: string | undefined,
): TwinIdentityFacts {
  const { deviceId, generationId, authentication } = identity;
  const thumbprints = authentication.type === "selfSigned" ? authentication : undefined;
  return {
    deviceId,
    moduleId: identity.moduleId,
    deviceEtag: identity.etag,
    status: identity.status,
    statusReason: identity.statusReason,
    statusUpdateTime: timeText(identity.statusUpdatedAtMs),
    connectionState: presence.connected ? "Connected" : "Disconnected",
    lastActivityTime: timeText(presence.lastActivityAtMs),
    cloudToDeviceMessageCount,
    authenticationType: authentication.type,
    x509Thumbprint: {
      primaryThumbprint: thumbprints?.primaryThumbprint ?? null,
      secondaryThumbprint: thumbprints?.secondaryThumbprint ?? null,
    },
    modelId,
    iotEdge: identity.capabilities.iotEdge,
    deviceScope: identity.capabilities.iotEdge
      ? `ms-azure-iot-edge://${deviceId}-${generationId}`
      : undefined,
  };
}
