import { formatMqttUsername } from "@hubwire/protocol";
import { systemClock } from "@hubwire/transport";
import type { Dial } from "@hubwire/transport";
import { invalid, isIotError } from "../calls/errors.ts";
import { ClockSkew } from "../connection/clock-skew.ts";
import type { Endpoint } from "../connection/endpoint.ts";
import { retryPolicy } from "../connection/retry.ts";
import { systemNetwork } from "../connection/vigil.ts";
import { rotatable } from "../credentials/rotate.ts";
import { gateOf } from "../limits/gate-options.ts";
import { alsoOnChannel } from "../observe/error-news.ts";
import { Counters } from "../observe/stats.ts";
import { outboxSettings } from "../outbox/outbox-settings.ts";
import { deviceRef } from "../observe/status-news.ts";
import { version } from "../version.ts";
import { checkNumber, numberOption } from "./bounds.ts";
import { diallerOf } from "./dialling.ts";
import type { DiallingContext } from "./dialling.ts";
import { identify } from "./identify.ts";
import type { Identified } from "./identify.ts";
import { checkOptionNames } from "./option-names.ts";
import type { ConnectOptions, DeviceOptions } from "./options.ts";
import type { Settings } from "./settings.ts";

/** What the hub may show as this device's software. */
export const clientType = `hubwire-device/${version} (node ${process.versions.node}; ${process.platform} ${process.arch})`;

/**
 * Checks the options and fills in what was left out.
 * @throws IotError `argument.invalid`, `connection_string.*`, `sas.malformed`, `transport.tls_credentials`
 */
export function resolveOptions(options: ConnectOptions): Settings {
  checkOptionNames(options);
  checkProtocol(options.protocol);
  const tokenLifetimeS = numberOption("tokenLifetimeS", options.tokenLifetimeS);
  const { tokenRenewBeforeS } = options;
  if (tokenRenewBeforeS !== undefined) {
    const why = "it ends before the token does";
    checkNumber("tokenRenewBeforeS", tokenRenewBeforeS, 1, tokenLifetimeS - 1, why);
  }
  const qos = options.qos ?? 1;
  if (qos !== 0 && qos !== 1)
    throw invalid(`qos is 0 or 1, not ${String(qos)}: IoT Hub has no QoS 2`);
  const { messageTimeoutMs } = options;
  if (messageTimeoutMs !== undefined) {
    checkNumber("messageTimeoutMs", messageTimeoutMs, 1, 86_400_000);
  }
  const identified = identify(options, tokenLifetimeS);
  const attemptTimeoutMs = numberOption("attemptTimeoutMs", options.attemptTimeoutMs);
  const waitForConnection = options.waitForConnection ?? true;
  const endpoint = endpointOf(identified, options);
  const clock = options.clock ?? systemClock();
  const random = options.random ?? Math.random;
  const skew = new ClockSkew();
  const onServerTime = (unixMs: number): void =>
    skew.now(unixMs, clock.wallMs(), "the answer to the WebSocket request");
  const stats = new Counters(deviceRef(endpoint));
  return {
    endpoint,
    ...rotatable(identified.credentials, tokenLifetimeS),
    provisioner: undefined,
    dial: dialOf(identified, options, { clock, attemptTimeoutMs, onServerTime }),
    clock,
    random,
    keepAliveS: numberOption("keepAliveS", options.keepAliveS),
    cleanSession: options.cleanSession ?? false,
    retry: retryPolicy(options.retry, options.reconnectDelay),
    skew,
    // A simulation has its own idea of a network.
    networkSignature:
      options.networkSignature ?? (options.clock === undefined ? systemNetwork : undefined),
    maxInflight: numberOption("maxInflight", options.maxInflight),
    retryIntervalMs: numberOption("retryIntervalMs", options.retryIntervalMs),
    qos,
    tokenRenewBeforeS,
    waitForConnection,
    failFast: waitForConnection && (options.failFast ?? true),
    connectTimeoutMs: numberOption("connectTimeoutMs", options.connectTimeoutMs),
    attemptTimeoutMs,
    callTimeoutMs: numberOption("callTimeoutMs", options.callTimeoutMs),
    queueMessagesMax: numberOption("queueMessagesMax", options.queueMessagesMax),
    queueBytesMax: numberOption("queueBytesMax", options.queueBytesMax),
    receiveMax: numberOption("receiveMax", options.receiveMax),
    ...outboxOf(options),
    methodsConcurrentMax: numberOption("methodsConcurrentMax", options.methodsConcurrentMax),
    methodTimeoutMs: numberOption("methodTimeoutMs", options.methodTimeoutMs),
    messageTimeoutMs,
    confirmDesired: options.confirmDesired ?? true,
    onError: alsoOnChannel(options.onError ?? warn, stats),
    stats,
    gate: gateOf(options, { clock, random, stats }),
  };
}

function outboxOf(
  options: ConnectOptions,
): Pick<Settings, "outbox" | "drainRate" | "messageIds" | "idRandom"> {
  const outbox = outboxSettings(options.outbox, {
    messagesMax: numberOption("queueMessagesMax", options.queueMessagesMax),
    bytesMax: numberOption("queueBytesMax", options.queueBytesMax),
  });
  const isDurable = outbox.durable !== undefined;
  const drainRate = numberOption("drainRate", options.drainRate);
  const messageIds = options.messageIds ?? (isDurable ? "auto" : "given");
  if (messageIds !== "auto" && messageIds !== "given") {
    throw invalid(`messageIds is auto or given, not ${String(messageIds)}`);
  }
  return {
    outbox,
    drainRate: options.drainRate === undefined && !isDurable ? Infinity : drainRate,
    messageIds,
    idRandom: options.random,
  };
}

function warn(error: unknown, where: string): void {
  if (where === "credentials" && isIotError(error)) {
    return process.emitWarning(`${error.message}. ${error.remedy}`, "HubwireWarning", error.code);
  }
  const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.emitWarning(`${where} threw: ${why}`, "HubwireWarning");
}

function checkProtocol(protocol: unknown): void {
  if (protocol === undefined || protocol === 4 || protocol === "3.1.1") return;
  throw invalid(
    `protocol is 3.1.1 (level 4), not ${JSON.stringify(protocol)}: IoT Hub speaks no other version of MQTT`,
  );
}

/** Which hub, as which device. */
export function endpointOf(
  identified: Omit<Identified, "credentials">,
  options: DeviceOptions,
): Endpoint {
  const { identity, hostName, clientId } = identified;
  const { apiVersion, modelId } = options;
  const { host, port } = dialled(identified.dialHost, options.port);
  const username =
    options.username ??
    formatMqttUsername({ hostName, ...identity, apiVersion, modelId, clientType });
  return { identity, hostName, dialHost: host, port, clientId, username };
}

function dialOf(identified: Identified, options: ConnectOptions, context: DiallingContext): Dial {
  const dial = diallerOf(options, context);
  // A certificate that cannot be used is the caller's mistake, to be told at once.
  if (identified.certificate !== undefined) dial.check(identified.certificate);
  return dial;
}

/** A port may stand behind the host name, as the Node SDK has it; the user name and tokens then carry it too. */
function dialled(dialHost: string, givenPort: number | undefined): { host: string; port: number } {
  const match = /^(.*):(\d{1,5})$/.exec(dialHost);
  const bare = match?.[1] ?? dialHost;
  // In brackets when it is an IPv6 address; without a port behind them the brackets still go.
  const host = bare.replace(/^\[(.*)\]$/, "$1");
  const port = numberOption("port", givenPort ?? (match === null ? undefined : Number(match[2])));
  return { host, port };
}
