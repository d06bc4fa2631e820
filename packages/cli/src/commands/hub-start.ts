import { resolve } from "node:path";
import type { HubConfig, Logger } from "@hubwire/hub";
import { Option, type Command } from "commander";
import { readCertificates, wholeNumber } from "../arguments.ts";
import { contextOf } from "../context.ts";
import { onInterrupt } from "../interrupt.ts";
import { table } from "../output.ts";

const logLevels = ["debug", "info", "warn", "error", "silent"] as const;
const logFormats = ["pretty", "json"] as const;

type StartOptions = {
  host: string;
  mqttPort?: number;
  httpsPort?: number;
  amqpPort?: number;
  amqpPlainPort?: number;
  amqp: boolean;
  hostName?: string[];
  gatewayHostName?: string;
  deviceCa?: string[];
  memory?: boolean;
  partitions?: number;
  retention?: number;
  clockTolerance?: number;
  expiryGrace?: number;
  lenient?: boolean;
  strictUserName?: boolean;
  logLevel: (typeof logLevels)[number];
  logFormat?: (typeof logFormats)[number];
};

export function addHubStart(hub: Command): void {
  hub
    .command("start")
    .description("start a hub and keep it running until Ctrl-C")
    .option("--host <address>", "address to listen on", "127.0.0.1")
    .option(
      "--mqtt-port <port>",
      "MQTT over TLS (default 8883; 0: a free one)",
      wholeNumber(0, 65_535),
    )
    .option(
      "--https-port <port>",
      "service REST (default 443, else 8443, else a free one)",
      wholeNumber(0, 65_535),
    )
    .option(
      "--amqp-port <port>",
      "AMQP over TLS (default 5671, else a free one)",
      wholeNumber(0, 65_535),
    )
    .option(
      "--amqp-plain-port <port>",
      "AMQP without TLS, on loopback only (default 5672, else a free one)",
      wholeNumber(0, 65_535),
    )
    .option("--no-amqp", "no AMQP: no C2D sending, no feedback and no reading of telemetry")
    .option(
      "--host-name <name...>",
      "names the hub answers to besides localhost; the first goes into connection strings",
    )
    .option(
      "--gateway-host-name <name>",
      "what is dialled when the hub's name cannot be: goes into connection strings beside it",
    )
    .option("--device-ca <file...>", "PEM of CAs whose device certificates are trusted")
    .option("--memory", "keep everything in memory: gone when the hub stops")
    .option(
      "--partitions <n>",
      "telemetry partitions, fixed at creation (default 4)",
      wholeNumber(1, 32),
    )
    .option(
      "--retention <hours>",
      "how long telemetry is kept (default 24)",
      wholeNumber(1, 87_600),
    )
    .option(
      "--clock-tolerance <s>",
      "accepted token age past expiry (default 300)",
      wholeNumber(0, 3600),
    )
    .option(
      "--expiry-grace <s>",
      "how long a session outlives its token (default 300)",
      wholeNumber(0, 600),
    )
    .option("--lenient", "ignore topics the hub does not serve instead of closing the connection")
    .option("--strict-user-name", "refuse a CONNECT without user name, as Azure does")
    .addOption(
      new Option("--log-level <level>", "how much to log, on standard error")
        .choices(logLevels)
        .default("info"),
    )
    .addOption(
      new Option(
        "--log-format <format>",
        "lines for people or JSON for machines (default: pretty on a terminal)",
      ).choices(logFormats),
    )
    .addHelpText(
      "after",
      `\nExamples:
  $ hubwire hub start
  $ hubwire hub start --memory --mqtt-port 0 --https-port 0
  $ hubwire hub start --device-ca factory-ca.pem
  $ hubwire hub start --host-name contoso.azure-devices.net --gateway-host-name localhost`,
    )
    .action(async (options: StartOptions, command: Command) => {
      const { output, dataDirectory } = contextOf(command);
      const { signal, release } = onInterrupt();
      try {
        const isMemory = options.memory === true;
        const { createHub, createLogger } = await import("@hubwire/hub");
        const format =
          options.logFormat ?? (process.stderr.isTTY && !output.json ? "pretty" : "json");
        const logger = createLogger({ level: options.logLevel, format });
        await using running = await createHub({
          ...configOf(options),
          ...(isMemory ? {} : { dataDirectory }),
          logger: format === "pretty" ? withoutStart(logger) : logger,
        });
        const ready = {
          event: "ready",
          mqtt: `mqtts://${running.hostName}:${running.mqttPort}`,
          https: `https://${running.hostName}:${running.httpsPort}`,
          ...(running.amqpPort === undefined
            ? {}
            : { amqp: `amqps://${running.hostName}:${running.amqpPort}` }),
          data: isMemory ? null : resolve(dataDirectory),
          caFile: running.caFile ?? null,
          // Nobody else could find out how to talk to a hub that leaves nothing on disk.
          ...(isMemory
            ? {
                connectionString: running.connectionString(),
                ...(running.amqpPort === undefined
                  ? {}
                  : { eventHubsConnectionString: running.eventHubsConnectionString() }),
                caPem: running.caPem,
              }
            : {}),
        };
        const rows = isMemory
          ? [
              ["data", "in memory"],
              ["service", running.connectionString()],
              ...(running.amqpPort === undefined
                ? []
                : [["events", running.eventHubsConnectionString()]]),
              ["CA", `\n${running.caPem.trimEnd()}`],
            ]
          : [
              ["data", ready.data ?? ""],
              ["CA file", ready.caFile ?? ""],
              ["next", "hubwire device create my-device   (Ctrl-C stops the hub)"],
            ];
        output.line(
          table([
            ["MQTT", ready.mqtt],
            ["HTTPS", ready.https],
            ...(ready.amqp === undefined ? [] : [["AMQP", ready.amqp]]),
            ...rows,
          ]),
          ready,
        );
        await aborted(signal);
        output.note("Stopping: finishing accepted work. Ctrl-C again leaves at once.");
      } finally {
        release();
      }
    });
}

/** What the hub says when it is ready is printed by the command already, and better. */
const withoutStart = (logger: Logger): Logger => ({
  ...logger,
  info(facts, message) {
    if (!("event" in facts) || facts.event !== "started") logger.info(facts, message);
  },
});

function configOf(options: StartOptions): HubConfig {
  const [hostName, ...otherNames] = options.hostName ?? [];
  return {
    host: options.host,
    deviceCas: (options.deviceCa ?? []).map((file) => readCertificates(file, "The device CA")),
    hostNames: otherNames,
    mode: options.lenient === true ? "lenient" : "strict",
    strictUserName: options.strictUserName === true,
    ...(hostName === undefined ? {} : { hostName }),
    ...(options.gatewayHostName === undefined ? {} : { gatewayHostName: options.gatewayHostName }),
    ...(options.mqttPort === undefined ? {} : { mqttPort: options.mqttPort }),
    ...(options.httpsPort === undefined ? {} : { httpsPort: options.httpsPort }),
    ...(options.amqp ? {} : { amqpPort: false, amqpPlainPort: false }),
    ...(options.amqpPort === undefined ? {} : { amqpPort: options.amqpPort }),
    ...(options.amqpPlainPort === undefined ? {} : { amqpPlainPort: options.amqpPlainPort }),
    ...(options.partitions === undefined ? {} : { partitions: options.partitions }),
    ...(options.retention === undefined ? {} : { retention: { hours: options.retention } }),
    ...(options.clockTolerance === undefined ? {} : { clockToleranceS: options.clockTolerance }),
    ...(options.expiryGrace === undefined ? {} : { expiryGraceS: options.expiryGrace }),
  };
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
