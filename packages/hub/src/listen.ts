import { randomUUID } from "node:crypto";
import { IotError } from "@hubwire/protocol";
import { listenTls } from "@hubwire/transport";
import type { Clock, TlsListener } from "@hubwire/transport";
import type { Domain } from "./compose.ts";
import type { HubConfig } from "./config.ts";
import type { Logger } from "./domain/observe.ts";
import type { AmqpDoor } from "./listen-amqp.ts";
import { createMqttListener } from "./listeners/mqtt/index.ts";
import type { MqttListener } from "./listeners/mqtt/index.ts";
import { createRestListener } from "./listeners/rest/index.ts";
import type { RestListener } from "./listeners/rest/index.ts";
import type { UpgradeListener } from "./listeners/websocket/index.ts";
import { waysOut, withWaysOut } from "./ports.ts";
import type { PemPair } from "./tls/index.ts";

export const standardMqttPort = 8883;
export const standardHttpsPort = 443;
const fallbackHttpsPort = 8443;
export const defaultHost = "127.0.0.1";

export type Doors = { mqtt: MqttListener; tls: TlsListener; amqp: AmqpDoor; rest: RestListener };

export type Parts = {
  domain: Domain;
  credentials: PemPair;
  clock: Clock;
  logger: Logger;
  unreadyReason: () => string | undefined;
  metricsText: () => Promise<string>;
  /** Takes WebSockets that come in by HTTPS. */
  onUpgrade?: UpgradeListener;
};

/** @throws IotError `hub.port_in_use`, `hub.port_not_permitted`, `hub.address_unavailable` */
export async function openMqtt(
  config: HubConfig,
  parts: Parts,
): Promise<Pick<Doors, "mqtt" | "tls">> {
  const { domain, credentials, clock, logger } = parts;
  const { limits } = config;
  const mqtt = createMqttListener({
    authenticator: domain.authenticator,
    connections: domain.connections,
    telemetry: domain.ingest,
    c2d: domain.c2d.delivery,
    twins: domain.twins,
    methods: domain.methods,
    onModel: (ref, generationId, modelId) => domain.twins.announceModel(ref, generationId, modelId),
    clock,
    logger,
    metrics: domain.metrics,
    strictness: config.mode ?? "strict",
    ...(limits?.mqtt && { limits: limits.mqtt }),
  });
  const port = config.mqttPort ?? standardMqttPort;
  const tls = await listenTls({
    ...credentials,
    host: config.host ?? defaultHost,
    port,
    ...(limits?.handshakeTimeoutMs !== undefined && {
      handshakeTimeoutMs: limits.handshakeTimeoutMs,
    }),
    ...(limits?.mqtt?.streamsMax !== undefined && { connectionsMax: limits.mqtt.streamsMax }),
    onStream: (stream) => mqtt.handleStream(stream),
    onRefused: ({ reason, address, error }) => {
      logger.debug(
        { event: "tls_refused", reason: error?.message ?? reason, address },
        "A connection ended before it was a TLS stream",
      );
    },
  }).catch((error: unknown) => {
    throw withWaysOut(error, port);
  });
  return { mqtt, tls };
}

/** A given port is taken or refused; otherwise 443, else 8443, else a free one, and the log says what that costs. */
export async function openRest(
  config: HubConfig,
  parts: Parts,
  fallbacks: readonly number[] = [standardHttpsPort, fallbackHttpsPort, 0],
): Promise<RestListener> {
  const candidates = config.httpsPort === undefined ? fallbacks : [config.httpsPort];
  let ways = "";
  for (const port of candidates) {
    try {
      const listener = await listenRest(config, parts, port);
      if (candidates.length > 1 && port !== candidates[0]) tellCost(listener.port, ways, parts);
      return listener;
    } catch (error) {
      if (port === candidates.at(-1) || !isAboutPort(error)) throw withWaysOut(error, port);
      if (port === candidates[0]) ways = waysOut(error, port);
    }
  }
  throw new Error("a list of candidates is never empty");
}

/** Whether another port may do. */
export const isAboutPort = (error: unknown): boolean =>
  error instanceof IotError &&
  (error.code === "hub.port_in_use" || error.code === "hub.port_not_permitted");

function tellCost(port: number, ways: string, { logger }: Parts): void {
  logger.warn(
    { event: "https_port", port },
    `HTTPS is on ${port} because ${standardHttpsPort} could not be had: official SDKs dial ${standardHttpsPort} only, so service SDKs do not reach this hub; Hubwire's own tools do.${ways}`,
  );
}

function listenRest(config: HubConfig, parts: Parts, port: number): Promise<RestListener> {
  const { domain, credentials, clock, logger, unreadyReason, metricsText, onUpgrade } = parts;
  const { authenticator, identities, twins, methods, connections } = domain;
  return createRestListener({
    services: {
      authenticator,
      identities,
      bulk: domain.bulk,
      twins,
      query: domain.query,
      methods,
      connections,
      c2d: domain.c2d.service,
      feedback: domain.feedback,
      certificates: domain.certificates,
      clock,
      logger,
      requestId: randomUUID,
      unreadyReason,
      metricsText,
    },
    ...credentials,
    host: config.host ?? defaultHost,
    port,
    ...(onUpgrade && { onUpgrade }),
    ...(config.limits?.rest && { limits: config.limits.rest }),
  });
}
