import { listenTcp, listenTls } from "@hubwire/transport";
import type { Listener, TlsListener } from "@hubwire/transport";
import type { HubConfig } from "./config.ts";
import { eventHubName, standardAmqpPlainPort, standardAmqpPort } from "./event-hubs.ts";
import { defaultHost, isAboutPort } from "./listen.ts";
import type { Parts } from "./listen.ts";
import { createAmqpListener } from "./listeners/amqp/index.ts";
import type { AmqpListener } from "./listeners/amqp/index.ts";
import { waysOut, withWaysOut } from "./ports.ts";
import type { PemPair } from "./tls/index.ts";

export type AmqpDoor = {
  listener: AmqpListener;
  port: number | undefined;
  plainPort: number | undefined;
  updateSecureContext(credentials: PemPair): void;
  stop(): Promise<void>;
};

/**
 * AMQP over TLS, and without it on loopback. A given port is taken or refused; otherwise the standard one, else a free one.
 * @throws IotError `hub.port_in_use`, `hub.port_not_permitted`, `hub.address_unavailable`
 */
export async function openAmqp(
  config: HubConfig,
  parts: Parts,
  { hostName, dialled }: { hostName: string; dialled: string },
): Promise<AmqpDoor> {
  const { domain, credentials, clock, logger } = parts;
  const { limits } = config;
  const open: { tls?: TlsListener | undefined; plain?: Listener | undefined } = {};
  const listener = createAmqpListener({
    tokens: domain.serviceTokens,
    c2d: domain.c2d.service,
    feedback: domain.feedback,
    log: domain.telemetryLog,
    consumerGroups: domain.consumerGroups,
    entity: eventHubName(hostName),
    hubName: hostName,
    eventHubsHost: () => ({ hostName: dialled, port: open.tls?.port ?? standardAmqpPort }),
    createdAtMs: clock.wallMs(),
    clock,
    logger,
    ...(limits?.amqp && { limits: limits.amqp }),
  });
  open.tls = await firstFree(config.amqpPort, standardAmqpPort, parts, (port) =>
    listenTls({
      ...credentials,
      host: config.host ?? defaultHost,
      port,
      ...(limits?.handshakeTimeoutMs !== undefined && {
        handshakeTimeoutMs: limits.handshakeTimeoutMs,
      }),
      onStream: (stream) => listener.handleStream(stream),
    }),
  );
  try {
    open.plain = await firstFree(config.amqpPlainPort, standardAmqpPlainPort, parts, (port) =>
      listenTcp({
        host: defaultHost,
        port,
        onStream: (stream) => listener.handleStream(stream),
      }),
    );
  } catch (error) {
    await open.tls?.close();
    throw error;
  }
  let stopped: Promise<void> | undefined;
  return {
    listener,
    port: open.tls?.port,
    plainPort: open.plain?.port,
    updateSecureContext: (renewed) => open.tls?.updateSecureContext(renewed),
    stop: () =>
      (stopped ??= Promise.all([open.tls?.close(), open.plain?.close(), listener.stop()]).then(
        () => {},
      )),
  };
}

async function firstFree<L extends { port: number }>(
  given: number | false | undefined,
  standard: number,
  { logger }: Parts,
  open: (port: number) => Promise<L>,
): Promise<L | undefined> {
  if (given === false) return undefined;
  if (given !== undefined) {
    return open(given).catch((error: unknown) => {
      throw withWaysOut(error, given);
    });
  }
  try {
    return await open(standard);
  } catch (error) {
    if (!isAboutPort(error)) throw error;
    const listener = await open(0);
    logger.warn(
      { event: "amqp_port", port: listener.port },
      `AMQP is on ${listener.port} because ${standard} could not be had: clients that dial the standard port do not reach this hub.${waysOut(error, standard)}`,
    );
    return listener;
  }
}
