import {
  IotError,
  formatDeviceConnectionString,
  parseDeviceConnectionString,
} from "@hubwire/protocol";
import type { ConnectOptions, DeviceClient } from "@hubwire/device";
import { Option, type Command } from "commander";
import { collectProperty, readCertificates, readTextFile, wholeNumber } from "../arguments.ts";
import { contextOf, withService, type Context } from "../context.ts";
import { interruptible } from "../interrupt.ts";
import { readHubFile, splitPort } from "../target.ts";
import { connectionStringFor } from "./device.ts";

type SendOptions = {
  property: Record<string, string>;
  count: number;
  qos: string;
  contentType?: string;
  contentEncoding?: string;
  messageId?: string;
  deviceConnectionString?: string;
  cert?: string;
  key?: string;
};

/** Well above the in-flight window, well below the queue: the client is kept busy, memory stays small. */
const BURST = 500;
/** Somebody is watching: better told soon than kept waiting. */
const CONNECT_TIMEOUT_MS = 15_000;

export function addSendCommand(program: Command): void {
  program
    .command("send <deviceId> <body>")
    .description("send telemetry as a device, over MQTT")
    .option("-p, --property <name=value>", "application property, repeatable", collectProperty, {})
    .option("-n, --count <n>", "send it that many times", wholeNumber(1, 1_000_000), 1)
    .addOption(
      new Option("--qos <0|1>", "MQTT quality of service").choices(["0", "1"]).default("1"),
    )
    .option("--content-type <type>", "for example application/json")
    .option("--content-encoding <encoding>", "for example utf-8")
    .option("--message-id <id>", "message id")
    .option("--cert <file>", "PEM of the device's certificate, for a device with X.509")
    .option("--key <file>", "PEM of its private key")
    .option("--device-connection-string <string>", "connect with this instead of asking the hub")
    .addHelpText(
      "after",
      `
Examples:
  $ hubwire send thermostat-1 '{"temperature":21.5}' -p alert=false
  $ hubwire send camera-1 on --cert camera-1.pem --key camera-1-key.pem

The device's connection string: --device-connection-string, else IOTHUB_DEVICE_CONNECTION_STRING, else the hub is asked.`,
    )
    .action((deviceId: string, body: string, options: SendOptions, command: Command) =>
      interruptible(async (signal) => {
        const context = contextOf(command);
        const identification = await identify(context, deviceId, options, signal);
        const { connect } = await import("@hubwire/device");
        await using client = await connect({
          ...identification,
          connectTimeoutMs: CONNECT_TIMEOUT_MS,
          signal,
        });
        const startedMs = performance.now();
        await sendAll(client, body, options, signal);
        const ms = Math.round(performance.now() - startedMs);
        const { count } = options;
        context.output.line(
          count === 1 ? `Sent in ${ms} ms.` : `Sent ${count} messages in ${ms} ms.`,
          {
            sent: count,
            ms,
          },
        );
      }),
    );
}

async function sendAll(
  client: DeviceClient,
  body: string,
  options: SendOptions,
  signal: AbortSignal,
): Promise<void> {
  const { contentType, contentEncoding, messageId } = options;
  const message = {
    qos: options.qos === "0" ? (0 as const) : (1 as const),
    properties: options.property,
    signal,
    ...(contentType === undefined ? {} : { contentType }),
    ...(contentEncoding === undefined ? {} : { contentEncoding }),
    ...(messageId === undefined ? {} : { messageId }),
  };
  for (let sent = 0; sent < options.count; sent += BURST) {
    const size = Math.min(BURST, options.count - sent);
    await Promise.all(Array.from({ length: size }, () => client.sendTelemetry(body, message)));
  }
}

/** The device's own connection string (given, or read from the registry) and what must stand beside it. */
async function identify(
  context: Context,
  deviceId: string,
  options: SendOptions,
  signal: AbortSignal,
): Promise<ConnectOptions> {
  const given =
    options.deviceConnectionString ?? (process.env["IOTHUB_DEVICE_CONNECTION_STRING"] || undefined);
  const { connectionString, ca } =
    given === undefined
      ? await fromRegistry(context, deviceId, signal)
      : fromString(context, deviceId, given);
  const certificate = certificateOf(deviceId, options, connectionString.endsWith("x509=true"));
  return {
    connectionString,
    ...(ca === undefined ? {} : { ca }),
    ...(certificate === undefined ? {} : { certificate }),
  };
}

async function fromRegistry(
  context: Context,
  deviceId: string,
  signal: AbortSignal,
): Promise<{ connectionString: string; ca: string | undefined }> {
  const target = context.target();
  const found = await withService(target, ({ identities }) => identities.get(deviceId, { signal }));
  return { connectionString: connectionStringFor(target, found), ca: target.ca };
}

function fromString(
  context: Context,
  deviceId: string,
  text: string,
): { connectionString: string; ca: string | undefined } {
  const parsed = parseDeviceConnectionString(text);
  if (parsed.deviceId !== deviceId) {
    throw new IotError(
      "cli.usage",
      `The connection string is for device "${parsed.deviceId}", not "${deviceId}".`,
    );
  }
  const [host] = splitPort(parsed.gatewayHostName ?? parsed.hostName, 8883);
  const local = readHubFile(context.dataDirectory);
  const caFile =
    context.ca ??
    (local !== undefined && [local.hostName, local.gatewayHostName].includes(host)
      ? local.caFile
      : undefined);
  return {
    connectionString: formatDeviceConnectionString(parsed),
    ca: caFile === undefined ? undefined : readCertificates(caFile, "The CA"),
  };
}

function certificateOf(
  deviceId: string,
  { cert, key }: SendOptions,
  needed: boolean,
): { cert: string; key: string } | undefined {
  if (cert !== undefined && key !== undefined) {
    return {
      cert: readCertificates(cert, "The certificate"),
      key: readTextFile(key, "The private key"),
    };
  }
  if (cert === undefined && key === undefined && !needed) return undefined;
  throw new IotError(
    "cli.usage",
    `${deviceId} connects with a certificate (X.509): pass both --cert and --key.`,
  );
}
