import { systemClock } from "@hubwire/transport";
import type { Clock, Timer } from "@hubwire/transport";
import { CleanUp } from "./clean-up.ts";
import { composeDomain } from "./compose.ts";
import type { HubConfig } from "./config.ts";
import { checkConfig } from "./config-check.ts";
import type { Logger } from "./domain/observe.ts";
import { writeHubFile } from "./hub-file.ts";
import type { Hub } from "./hub-types.ts";
import { keepHouse } from "./housekeeping.ts";
import { inProcess } from "./in-process.ts";
import { openAmqp } from "./listen-amqp.ts";
import { openMqtt, openRest } from "./listen.ts";
import type { Doors } from "./listen.ts";
import { cleanLogger, createLogger, createMetricsText } from "./observe/index.ts";
import { createUpgrades } from "./listeners/websocket/index.ts";
import { openStores } from "./open-stores.ts";
import { certificateNames, memoryCertificates, openCertificates } from "./tls/index.ts";

const defaultHostName = "localhost";
const defaultStopMs = 5_000;
/** How long connections and stores may take to close once the time for accepted work is over. */
const closingMs = 2_000;

/**
 * Starts a hub: MQTT over TLS on 8883 and HTTPS on 443 unless told otherwise, on loopback, its data in
 * `dataDirectory` or, without one, in memory. What fails leaves nothing open.
 * @throws IotError `argument.invalid` for the configuration; `hub.port_in_use`, `hub.port_not_permitted`,
 * `hub.address_unavailable`; `hub.data_locked`, `hub.data_newer_format`, `hub.data_corrupt`, `hub.disk_read_only`, `hub.disk_full`
 */
export async function createHub(config: HubConfig = {}): Promise<Hub> {
  checkConfig(config);
  const logger =
    (config.logger && cleanLogger(config.logger)) ??
    createLogger({ level: config.logLevel ?? "info", format: config.logFormat ?? "json" });
  const cleanUp = new CleanUp();
  try {
    return await start(config, config.clock ?? systemClock(), logger, cleanUp);
  } catch (error) {
    // The reason for the failed start is the news, not what else went wrong on the way back.
    await cleanUp.run().catch(() => {});
    throw error;
  }
}

/** A hub for tests: free ports, everything in memory, only warnings logged; `config` changes any of it. */
export function startHub(config: HubConfig = {}): Promise<Hub> {
  return createHub({
    mqttPort: 0,
    httpsPort: 0,
    amqpPort: 0,
    amqpPlainPort: 0,
    logLevel: "warn",
    logFormat: "pretty",
    ...config,
  });
}

async function start(
  config: HubConfig,
  clock: Clock,
  logger: Logger,
  cleanUp: CleanUp,
): Promise<Hub> {
  const hostName = config.hostName ?? defaultHostName;
  const { gatewayHostName } = config;
  const dialled = gatewayHostName ?? hostName;
  const names = certificateNames([hostName, dialled, ...(config.hostNames ?? [])]);
  const opened = await openStores(config, { clock, logger, cleanUp });
  const { stores, directory } = opened;
  const certificates =
    directory === undefined
      ? await memoryCertificates(names, clock.wallMs())
      : await openCertificates(directory, names, clock.wallMs());
  const answersTo = names.filter((name) => !name.startsWith("*"));
  const domain = await composeDomain(config, answersTo, { stores, clock, logger, cleanUp });
  const { metrics } = domain;
  const metricsText = createMetricsText({ ...opened, metrics });
  const unreadyReason = (): string | undefined => stores.unhealthyReason;
  const parts = {
    domain,
    credentials: certificates.server,
    clock,
    logger,
    unreadyReason,
    metricsText,
  };
  const stopping = new AbortController();
  const { mqtt, tls } = await openMqtt(config, parts);
  // For a start that fails behind this point; a stop has closed both before.
  cleanUp.add(() => Promise.all([tls.close(), stopping.signal.aborted || mqtt.stop()]));
  const amqp = await openAmqp(config, parts, { hostName, dialled });
  cleanUp.add(() => amqp.stop());
  const upgrades = createUpgrades({ mqtt, amqp: amqp.listener, logger });
  const rest = await openRest(config, { ...parts, onUpgrade: upgrades });
  const doors: Doors = { mqtt, tls, amqp, rest };
  const endHousekeeping = keepHouse({
    clock,
    logger,
    certificates,
    sweep: () => domain.identities.sweep(),
    onRenewed: (credentials) => {
      tls.updateSecureContext(credentials);
      rest.updateSecureContext(credentials);
      amqp.updateSecureContext(credentials);
    },
  });

  let stopped: Promise<void> | undefined;
  const stop = async (timeoutMs: number): Promise<void> => {
    const work = async (): Promise<void> => {
      await closeDoors(doors, stopping, timeoutMs);
      await endHousekeeping();
    };
    const outcome = await atMost(work(), timeoutMs + closingMs, clock);
    const closed = await atMost(cleanUp.run(), closingMs, clock);
    if (outcome === "late" || closed === "late") {
      logger.warn({ event: "stop_cut_short" }, "The hub has stopped before all its work had ended");
    } else logger.info({ event: "stopped" }, "The hub has stopped");
  };

  const address = {
    hostName,
    gatewayHostName,
    mqttPort: tls.port,
    httpsPort: rest.port,
    amqpPort: amqp.port,
    amqpPlainPort: amqp.plainPort,
  };
  const hub: Hub = {
    ...address,
    caPem: certificates.caPem,
    caFile: certificates.caFile,
    ...inProcess(domain, address, stopping.signal),
    identities: domain.identities,
    twins: domain.twins,
    query: domain.query,
    methods: domain.methods,
    c2d: domain.c2d.service,
    telemetry: domain.telemetry,
    feedback: domain.feedback,
    consumerGroups: domain.consumerGroups,
    get connections() {
      return domain.connections.count;
    },
    get unreadyReason() {
      return unreadyReason();
    },
    metricsText,
    stop: ({ timeoutMs = defaultStopMs } = {}) => (stopped ??= stop(timeoutMs)),
    [Symbol.asyncDispose]: () => hub.stop(),
  };
  if (directory !== undefined) {
    await writeHubFile(directory, hub).catch(async (error: unknown) => {
      await hub.stop();
      throw error;
    });
  }
  logger.info(
    { event: "started", ...address, dataDirectory: directory },
    `The hub is ready on ${hostName}: MQTT on ${address.mqttPort}, HTTPS on ${address.httpsPort}`,
  );
  return hub;
}

/**
 * Requests under way finish first, because a method call waits for its device; then connections finish what they were
 * promised and end. Nothing new comes in meanwhile.
 */
async function closeDoors(
  { mqtt, tls, amqp, rest }: Doors,
  stopping: AbortController,
  timeoutMs: number,
): Promise<void> {
  await Promise.all([tls.close(), rest.stop(timeoutMs)]);
  stopping.abort();
  await Promise.all([mqtt.stop(), amqp.stop()]);
}

/** Waits for work, but not for ever: a disk that hangs must not keep a process from ending. */
async function atMost(work: Promise<void>, ms: number, clock: Clock): Promise<"done" | "late"> {
  let timer: Timer | undefined;
  const late = new Promise<"late">((resolve) => {
    timer = clock.at(clock.nowMs() + ms, () => resolve("late"));
  });
  try {
    return await Promise.race([work.then(() => "done" as const), late]);
  } finally {
    timer?.cancel();
  }
}
