import { IotError, formatDeviceConnectionString } from "@hubwire/protocol";
import type { Command } from "commander";
import { wholeNumber } from "../arguments.ts";
import { contextOf, withRest } from "../context.ts";
import { table } from "../output.ts";
import type { RestClient } from "../service/rest-client.ts";
import type { Target } from "../target.ts";

/** The parts of Azure's device JSON that the command reads. */
export type DeviceJson = {
  deviceId: string;
  status: string;
  connectionState: string;
  cloudToDeviceMessageCount: number;
  lastActivityTime: string;
  authentication: {
    type: string;
    symmetricKey: { primaryKey: string | null } | null;
  };
};

const devicePath = (deviceId: string): string => `/devices/${encodeURIComponent(deviceId)}`;

export async function readDevice(
  client: RestClient,
  deviceId: string,
  signal?: AbortSignal,
): Promise<DeviceJson> {
  const path = devicePath(deviceId);
  return (await client.call({ method: "GET", path, ...(signal && { signal }) })) as DeviceJson;
}

/** The primary key; undefined for a device that authenticates with a certificate. */
export const keyOf = ({ authentication }: DeviceJson): string | undefined =>
  authentication.symmetricKey?.primaryKey || undefined;

/** What to give a device, so that it connects to the hub this command talks to. */
export function connectionStringFor(target: Target, device: DeviceJson): string {
  const key = keyOf(device);
  return formatDeviceConnectionString({
    hostName: target.mqttPort === 8883 ? target.hostName : `${target.hostName}:${target.mqttPort}`,
    deviceId: device.deviceId,
    auth: key === undefined ? { type: "x509" } : { type: "key", sharedAccessKey: key },
  });
}

type CreateOptions = { thumbprint?: string; secondaryThumbprint?: string; caSigned?: boolean };

function authenticationOf({ thumbprint, secondaryThumbprint, caSigned }: CreateOptions): object {
  if (thumbprint !== undefined && caSigned === true) {
    throw new IotError("cli.usage", "--thumbprint and --ca-signed exclude each other.");
  }
  if (thumbprint === undefined && secondaryThumbprint !== undefined) {
    throw new IotError("cli.usage", "--secondary-thumbprint needs --thumbprint.");
  }
  if (thumbprint !== undefined) {
    return {
      type: "selfSigned",
      x509Thumbprint: {
        primaryThumbprint: thumbprint,
        secondaryThumbprint: secondaryThumbprint ?? null,
      },
    };
  }
  if (caSigned === true) return { type: "certificateAuthority" };
  return { type: "sas", symmetricKey: { primaryKey: "", secondaryKey: "" } };
}

export function addDeviceCommands(program: Command): void {
  const device = program.command("device").description("register devices and look at them");

  device
    .command("create <deviceId>")
    .description("register a device and print its connection string")
    .option("--thumbprint <hex>", "X.509: SHA-1 or SHA-256 thumbprint of the device's certificate")
    .option("--secondary-thumbprint <hex>", "X.509: a second accepted thumbprint")
    .option("--ca-signed", "X.509: any certificate with CN = device id signed by a trusted CA")
    .addHelpText(
      "after",
      `\nExamples:
  $ hubwire device create thermostat-1
  $ hubwire device create camera-1 --ca-signed`,
    )
    .action(async (deviceId: string, options: CreateOptions, command: Command) => {
      const context = contextOf(command);
      const authentication = authenticationOf(options);
      const target = context.target();
      const created = (await withRest(target, (client) =>
        client.call({
          method: "PUT",
          path: devicePath(deviceId),
          body: { deviceId, status: "enabled", authentication },
        }),
      )) as DeviceJson;
      const connectionString = connectionStringFor(target, created);
      const { caFile } = target;
      context.output.line(connectionString, {
        device: created,
        connectionString,
        caFile: caFile ?? null,
      });
      if (caFile !== undefined) context.output.note(`CA file: ${caFile}`);
    });

  device
    .command("show <deviceId>")
    .description("one device: state, authentication and connection string")
    .addHelpText("after", "\nExample:\n  $ hubwire device show thermostat-1")
    .action(async (deviceId: string, _options: object, command: Command) => {
      const context = contextOf(command);
      const target = context.target();
      const found = await withRest(target, (client) => readDevice(client, deviceId));
      const connectionString = connectionStringFor(target, found);
      context.output.line(
        table([
          ["device", found.deviceId],
          ["status", found.status],
          ["connection", found.connectionState],
          ["authentication", found.authentication.type],
          ["C2D messages waiting", String(found.cloudToDeviceMessageCount)],
          ["last activity", lastActivity(found.lastActivityTime)],
          ["connection string", connectionString],
        ]),
        { device: found, connectionString },
      );
    });

  device
    .command("list")
    .description("all devices, at most 1000")
    .option("--top <n>", "how many at most", wholeNumber(1, 1000), 1000)
    .addHelpText("after", "\nExample:\n  $ hubwire device list --json")
    .action(async (options: { top: number }, command: Command) => {
      const context = contextOf(command);
      const devices = (await withRest(context.target(), (client) =>
        client.call({ method: "GET", path: "/devices", query: { top: String(options.top) } }),
      )) as DeviceJson[];
      if (context.output.json) {
        for (const found of devices) context.output.line("", found);
        return;
      }
      if (devices.length === 0) {
        context.output.note("No devices yet. Create one: hubwire device create my-device");
        return;
      }
      const rows = devices.map((found) => [
        found.deviceId,
        found.status,
        found.connectionState,
        found.authentication.type,
      ]);
      context.output.line(
        table([["DEVICE", "STATUS", "CONNECTION", "AUTHENTICATION"], ...rows]),
        devices,
      );
    });

  device
    .command("delete <deviceId>")
    .description("delete a device with its twin and its waiting messages")
    .addHelpText("after", "\nExample:\n  $ hubwire device delete thermostat-1")
    .action(async (deviceId: string, _options: object, command: Command) => {
      const context = contextOf(command);
      await withRest(context.target(), (client) =>
        client.call({ method: "DELETE", path: devicePath(deviceId), ifMatch: "*" }),
      );
      context.output.line(`Deleted ${deviceId}.`, { deleted: deviceId });
    });
}

/** Azure's way to say never. */
const lastActivity = (time: string): string => (time.startsWith("0001-01-01") ? "never" : time);
