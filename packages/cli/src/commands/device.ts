import { IotError, formatDeviceConnectionString } from "@hubwire/protocol";
import type { AuthenticationMechanism, Device, Module } from "@hubwire/service";
import type { Command } from "commander";
import { wholeNumber } from "../arguments.ts";
import { contextOf, withService } from "../context.ts";
import { interruptible } from "../interrupt.ts";
import { table } from "../output.ts";
import type { Target } from "../target.ts";

/** The primary key; undefined for an identity that authenticates with a certificate. */
export const keyOf = ({ authentication }: Device | Module): string | undefined =>
  authentication.symmetricKey?.primaryKey || undefined;

/** What to give a device or module, so that it connects to the hub this command talks to. */
export function connectionStringFor(target: Target, identity: Device | Module): string {
  const key = keyOf(identity);
  const { hostName, mqttPort } = target;
  const dialled = mqttPort === 8883 ? hostName : `${hostName}:${mqttPort}`;
  return formatDeviceConnectionString({
    ...(target.ownName === undefined
      ? { hostName: dialled }
      : { hostName: target.ownName, gatewayHostName: dialled }),
    deviceId: identity.deviceId,
    ...("moduleId" in identity ? { moduleId: identity.moduleId } : {}),
    auth: key === undefined ? { type: "x509" } : { type: "key", sharedAccessKey: key },
  });
}

export type CreateOptions = {
  thumbprint?: string;
  secondaryThumbprint?: string;
  caSigned?: boolean;
};

export function authenticationOf({
  thumbprint,
  secondaryThumbprint,
  caSigned,
}: CreateOptions): AuthenticationMechanism {
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
    .action((deviceId: string, options: CreateOptions, command: Command) =>
      interruptible(async (signal) => {
        const context = contextOf(command);
        const authentication = authenticationOf(options);
        const target = context.target();
        const created = await withService(target, ({ identities }) =>
          identities.create({ deviceId, status: "enabled", authentication }, { signal }),
        );
        const connectionString = connectionStringFor(target, created);
        const { caFile } = target;
        context.output.line(connectionString, {
          device: created,
          connectionString,
          caFile: caFile ?? null,
        });
        if (caFile !== undefined) context.output.note(`CA file: ${caFile}`);
      }),
    );

  device
    .command("show <deviceId>")
    .description("one device: state, authentication and connection string")
    .addHelpText("after", "\nExample:\n  $ hubwire device show thermostat-1")
    .action((deviceId: string, _options: object, command: Command) =>
      interruptible(async (signal) => {
        const context = contextOf(command);
        const target = context.target();
        const found = await withService(target, ({ identities }) =>
          identities.get(deviceId, { signal }),
        );
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
      }),
    );

  device
    .command("list")
    .description("all devices, at most 1000")
    .option("--top <n>", "how many at most", wholeNumber(1, 1000), 1000)
    .addHelpText("after", "\nExample:\n  $ hubwire device list --json")
    .action(({ top }: { top: number }, command: Command) =>
      interruptible(async (signal) => {
        const context = contextOf(command);
        const devices = await withService(context.target(), ({ identities }) =>
          identities.list({ top, signal }),
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
      }),
    );

  device
    .command("delete <deviceId>")
    .description("delete a device with its twin and its waiting messages")
    .addHelpText("after", "\nExample:\n  $ hubwire device delete thermostat-1")
    .action((deviceId: string, _options: object, command: Command) =>
      interruptible(async (signal) => {
        const context = contextOf(command);
        await withService(context.target(), ({ identities }) =>
          identities.delete(deviceId, { signal }),
        );
        context.output.line(`Deleted ${deviceId}.`, { deleted: deviceId });
      }),
    );
}

/** Azure's way to say never. */
export const lastActivity = (time: string): string =>
  time.startsWith("0001-01-01") ? "never" : time;
