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
  etag: string;
  cloudToDeviceMessageCount: number;
  lastActivityTime: string;
  authentication: {
    type: string;
    symmetricKey: { primaryKey: string | null; secondaryKey: string | null } | null;
    x509Thumbprint: { primaryThumbprint: string | null; secondaryThumbprint: string | null } | null;
  };
};

const devicePath = (deviceId: string): string => `/devices/${encodeURIComponent(deviceId)}`;

export async function readDevice(client: RestClient, deviceId: string): Promise<DeviceJson> {
  return (await client.call({ method: "GET", path: devicePath(deviceId) })) as DeviceJson;
}

/** What to give a device, so that it connects to the hub this command talks to. */
export function connectionStringFor(target: Target, device: DeviceJson): string {
  const hostName =
    target.mqttPort === 8883 ? target.hostName : `${target.hostName}:${target.mqttPort}`;
  const key = device.authentication.symmetricKey?.primaryKey;
  return formatDeviceConnectionString({
    hostName,
    deviceId: device.deviceId,
    auth:
      key === undefined || key === null || key === ""
        ? { type: "x509" }
        : { type: "key", sharedAccessKey: key },
  });
}

type CreateOptions = { thumbprint?: string; secondaryThumbprint?: string; caSigned?: boolean };

function authenticationOf(options: CreateOptions): object {
  if (options.thumbprint !== undefined && options.caSigned === true) {
    throw new IotError("cli.usage", "--thumbprint and --ca-signed exclude each other.");
  }
  if (options.thumbprint !== undefined) {
    return {
      type: "selfSigned",
      x509Thumbprint: {
        primaryThumbprint: options.thumbprint,
        secondaryThumbprint: options.secondaryThumbprint ?? null,
      },
    };
  }
  if (options.caSigned === true) return { type: "certificateAuthority" };
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
    .addHelpText("after", "\nExample:\n  $ hubwire device create thermostat-1")
    .action(async (deviceId: string, options: CreateOptions, command: Command) => {
      const context = contextOf(command);
      const created = await withRest(context, async (client) => {
        const body = { deviceId, status: "enabled", authentication: authenticationOf(options) };
        return (await client.call({
          method: "PUT",
          path: devicePath(deviceId),
          body,
        })) as DeviceJson;
      });
      const target = context.target();
      const connectionString = connectionStringFor(target, created);
      context.output.line(connectionString, {
        device: created,
        connectionString,
        caFile: target.caFile ?? null,
      });
      if (target.caFile !== undefined) context.output.note(`CA file: ${target.caFile}`);
    });

  device
    .command("show <deviceId>")
    .description("one device: state, authentication and connection string")
    .action(async (deviceId: string, _options: object, command: Command) => {
      const context = contextOf(command);
      const found = await withRest(context, (client) => readDevice(client, deviceId));
      const connectionString = connectionStringFor(context.target(), found);
      context.output.line(
        table([
          ["device", found.deviceId],
          ["status", found.status],
          ["connection", found.connectionState],
          ["authentication", found.authentication.type],
          ["C2D messages waiting", String(found.cloudToDeviceMessageCount)],
          ["last activity", found.lastActivityTime],
          ["connection string", connectionString],
        ]),
        { device: found, connectionString },
      );
    });

  device
    .command("list")
    .description("all devices, at most 1000")
    .option("--top <n>", "how many at most", wholeNumber(1, 1000), 1000)
    .action(async (options: { top: number }, command: Command) => {
      const context = contextOf(command);
      const devices = await withRest(
        context,
        async (client) =>
          (await client.call({
            method: "GET",
            path: "/devices",
            query: { top: String(options.top) },
          })) as DeviceJson[],
      );
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
    .action(async (deviceId: string, _options: object, command: Command) => {
      const context = contextOf(command);
      await withRest(context, (client) =>
        client.call({ method: "DELETE", path: devicePath(deviceId), ifMatch: "*" }),
      );
      context.output.line(`Deleted ${deviceId}.`, { deleted: deviceId });
    });
}
