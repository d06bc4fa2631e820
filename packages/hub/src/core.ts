import { randomBytes, randomUUID } from "node:crypto";
import type { Clock } from "@hubwire/transport";
import { createAuthenticator, ensurePolicies, type Policy } from "./domain/auth/index.ts";
import type { AuthenticatorOptions } from "./domain/auth/index.ts";
import { createC2d, type C2dOptions } from "./domain/c2d/index.ts";
import { ConnectionRegistry } from "./domain/connections/index.ts";
import { createIdentities } from "./domain/identities/index.ts";
import { createMethods } from "./domain/methods/index.ts";
import { createHubMetrics, type HubMetrics, type Logger } from "./domain/observe.ts";
import type { Stores } from "./domain/ports.ts";
import type {
  Authenticator,
  Identities,
  Methods,
  ServiceC2d,
  ServiceTwins,
  TelemetryReader,
} from "./domain/services.ts";
import { createTelemetryReader, pacedLog, TelemetryIngest } from "./domain/telemetry/index.ts";
import type { TelemetryLimits } from "./domain/telemetry/index.ts";
import { createTwins } from "./domain/twins/index.ts";
import { createMqttListener, type MqttListener, type MqttLimits } from "./listeners/mqtt/index.ts";

export type HubCoreOptions = {
  stores: Stores;
  clock: Clock;
  logger: Logger;
  /** Every name this hub answers to, without port. */
  hostNames: readonly string[];
  auth?: Pick<
    AuthenticatorOptions,
    "clockToleranceS" | "expiryGraceS" | "strictUserName" | "deviceCas"
  >;
  strictness?: "strict" | "lenient";
  mqttLimits?: Partial<MqttLimits>;
  telemetryLimits?: Partial<TelemetryLimits>;
  cleanSessionPurges?: C2dOptions["cleanSessionPurges"];
  /** For simulation: where packet ids begin, keys and message ids. */
  random?: {
    bytes?: (length: number) => Uint8Array;
    packetId?: () => number;
    id?: () => string;
  };
};

/** The hub without sockets, disks and certificates: the domain over its stores, and an MQTT listener that is handed streams. */
export type HubCore = {
  readonly authenticator: Authenticator;
  readonly policies: readonly Policy[];
  readonly identities: Identities & { sweep(): Promise<{ removed: number }> };
  readonly connections: ConnectionRegistry;
  readonly twins: ServiceTwins;
  readonly methods: Methods;
  readonly c2d: ServiceC2d;
  readonly telemetry: TelemetryReader;
  readonly mqtt: MqttListener;
  readonly metrics: HubMetrics;
  /** Finishes accepted work and closes every connection; the stores stay open. */
  stop(): Promise<void>;
};

/** Wires the domain together. The same core runs on TLS and disks, and on memory streams in simulation. */
export async function createHubCore(options: HubCoreOptions): Promise<HubCore> {
  const { stores, clock, logger, random = {} } = options;
  const { documents } = stores;
  const bytes = random.bytes ?? randomBytes;
  const newId = random.id ?? randomUUID;
  const metrics = createHubMetrics();
  const policies = await ensurePolicies(documents, bytes);
  const identities = createIdentities({ documents, clock, randomBytes: bytes, c2d: stores.c2d });
  const connections = new ConnectionRegistry({ documents, identities, clock });
  const telemetry = new TelemetryIngest({
    store: stores.telemetry,
    metrics,
    logger,
    ...(options.telemetryLimits === undefined ? {} : { limits: options.telemetryLimits }),
  });
  const c2d = createC2d({
    store: stores.c2d,
    identities,
    clock,
    metrics,
    logger,
    newMessageId: newId,
    ...(options.cleanSessionPurges === undefined
      ? {}
      : { cleanSessionPurges: options.cleanSessionPurges }),
  });
  const twins = createTwins({
    documents,
    identities,
    connections,
    clock,
    trackingId: newId,
    logger,
    c2d: c2d.service,
  });
  const methods = createMethods({ identities, connections, clock });
  const authenticator = createAuthenticator({
    identities,
    policies,
    clock,
    hostNames: options.hostNames,
    ...options.auth,
  });
  await c2d.start();
  const mqtt = createMqttListener({
    authenticator,
    connections,
    telemetry,
    c2d: c2d.delivery,
    twins,
    methods,
    clock,
    logger,
    metrics,
    ...(options.mqttLimits === undefined ? {} : { limits: options.mqttLimits }),
    ...(options.strictness === undefined ? {} : { strictness: options.strictness }),
    ...(random.packetId === undefined ? {} : { randomPacketId: random.packetId }),
    onModel: (ref, generationId, modelId) => twins.announceModel(ref, generationId, modelId),
  });
  return {
    authenticator,
    policies,
    identities,
    connections,
    twins,
    methods,
    c2d: c2d.service,
    telemetry: createTelemetryReader(pacedLog(stores.telemetry, clock)),
    mqtt,
    metrics,
    async stop() {
      await mqtt.stop();
      c2d.stop();
      telemetry.close();
    },
  };
}
