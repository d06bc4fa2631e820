import type { Clock } from "@hubwire/transport";
import type { C2dDelivery } from "../../domain/c2d/index.ts";
import type { ConnectionRegistry } from "../../domain/connections/index.ts";
import type { HubMetrics, Logger } from "../../domain/observe.ts";
import type { Authenticator, DeviceTwins, IdentityRef, Methods } from "../../domain/services.ts";
import type { TelemetryIngest } from "../../domain/telemetry/index.ts";
import type { MqttLimits } from "./limits.ts";

/** What every connection of the listener shares. */
export type MqttParts = {
  authenticator: Pick<Authenticator, "authenticateDevice">;
  connections: ConnectionRegistry;
  telemetry: TelemetryIngest;
  c2d: C2dDelivery;
  twins: DeviceTwins;
  methods: Pick<Methods, "respond">;
  clock: Clock;
  logger: Logger;
  metrics: HubMetrics;
  limits: MqttLimits;
  /** Unknown filters and foreign topics end the connection, as on Azure; otherwise 0x80 and ignored. */
  strict: boolean;
  /** Where a session's packet ids begin: 1 to 65535, at random. */
  randomPacketId: () => number;
  /** A device announced its model (`model-id` in the user name). */
  onModel: ((ref: IdentityRef, generationId: string, modelId: string) => Promise<void>) | undefined;
};
