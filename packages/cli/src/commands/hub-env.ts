import { isAbsolute, resolve } from "node:path";
import { formatServiceConnectionString } from "@hubwire/protocol";
import { Option, type Command } from "commander";
import { contextOf, withService } from "../context.ts";
import { interruptible } from "../interrupt.ts";
import type { Target } from "../target.ts";
import { connectionStringFor } from "./device.ts";

const formats = ["shell", "dotenv", "json"] as const;
type Format = (typeof formats)[number];

export function addHubEnv(hub: Command): void {
  hub
    .command("env")
    .description("print what to export so that official SDKs and tools find and trust this hub")
    .option("-d, --device <deviceId>", "the connection string of this device, too")
    .addOption(
      new Option("--format <format>", "how to write it; --json means json")
        .choices(formats)
        .default("shell"),
    )
    .addHelpText(
      "after",
      `
The variables:
  IOTHUB_CONNECTION_STRING             service SDKs, az iot, this command
  IOTHUB_EVENTHUBS_CONNECTION_STRING   readers of telemetry (@azure/event-hubs and the like)
  IOTHUB_DEVICE_CONNECTION_STRING      device SDKs; with --device
  NODE_EXTRA_CA_CERTS                  the CA for Node: set before the process starts
  SSL_CERT_FILE, REQUESTS_CA_BUNDLE    the CA for Python and OpenSSL: they then trust nothing else

For a whole machine put the CA into the system's store instead:
  Debian, Ubuntu   cp ca.pem /usr/local/share/ca-certificates/hubwire.crt && update-ca-certificates
  Fedora           cp ca.pem /etc/pki/ca-trust/source/anchors/ && update-ca-trust
  macOS            security add-trusted-cert -k ~/Library/Keychains/login.keychain-db ca.pem
  Windows          certutil -user -addstore Root ca.pem

Examples:
  $ hubwire hub env --device thermostat-1
  $ hubwire hub env --format dotenv
  $ eval "$(hubwire hub env)"`,
    )
    .action((options: { device?: string; format: Format }, command: Command) =>
      interruptible(async (signal) => {
        const { output, target: targetOf } = contextOf(command);
        const target = targetOf();
        const { device } = options;
        const deviceString =
          device === undefined
            ? undefined
            : connectionStringFor(
                target,
                await withService(target, ({ identities }) => identities.get(device, { signal })),
              );
        const variables = variablesOf(target, deviceString);
        if (output.json || options.format === "json") {
          process.stdout.write(`${JSON.stringify(variables)}\n`);
          return;
        }
        const line = options.format === "shell" ? shellLine : dotenvLine;
        for (const [name, value] of Object.entries(variables)) {
          output.line(line(name, value), {});
        }
      }),
    );
}

function variablesOf(target: Target, device: string | undefined): Record<string, string> {
  const { hostName, httpsPort, policyName, key, caFile, eventHubsConnectionString } = target;
  const ca = caFile === undefined || isAbsolute(caFile) ? caFile : resolve(caFile);
  return {
    IOTHUB_CONNECTION_STRING: formatServiceConnectionString({
      hostName: httpsPort === 443 ? hostName : `${hostName}:${httpsPort}`,
      sharedAccessKeyName: policyName,
      sharedAccessKey: key,
    }),
    ...(eventHubsConnectionString === undefined
      ? {}
      : { IOTHUB_EVENTHUBS_CONNECTION_STRING: eventHubsConnectionString }),
    ...(device === undefined ? {} : { IOTHUB_DEVICE_CONNECTION_STRING: device }),
    ...(ca === undefined
      ? {}
      : { NODE_EXTRA_CA_CERTS: ca, SSL_CERT_FILE: ca, REQUESTS_CA_BUNDLE: ca }),
  };
}

/** Single quotes keep everything as it is; one inside is closed, escaped and opened again. */
const shellLine = (name: string, value: string): string =>
  `export ${name}='${value.replaceAll("'", String.raw`'\''`)}'`;

/** Without quotes where nothing needs them: every reader of such files takes that. */
const dotenvLine = (name: string, value: string): string =>
  /^[\w./:;=+$@-]*$/u.test(value) && !value.includes("$") && !value.includes("#")
    ? `${name}=${value}`
    : `${name}='${value}'`;
