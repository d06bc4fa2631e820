import {
  IotError,
  formatDeviceConnectionString,
  parseDeviceConnectionString,
} from "@hubwire/protocol";
import { readFileSync } from "node:fs";
import { Option, type Command } from "commander";
import { collectProperty, wholeNumber } from "../arguments.ts";
import { contextOf, withRest, type Context } from "../context.ts";
import { interruptSignal } from "../output.ts";
import { connectionStringFor, readDevice } from "./device.ts";

type SendOptions = {
  property: Record<string, string>;
  count: number;
  qos: string;
  contentType?: string;
  contentEncoding?: string;
  messageId?: string;
  deviceConnectionString?: string;
};

/** The device's own connection string: given, or read from the registry. */
async function deviceConnection(
  context: Context,
  deviceId: string,
  given: string | undefined,
): Promise<{ connectionString: string; ca: string | undefined }> {
  if (given !== undefined) {
    const parsed = parseDeviceConnectionString(given);
    if (parsed.deviceId !== deviceId) {
      throw new IotError(
        "cli.usage",
        `The connection string is for device "${parsed.deviceId}", not "${deviceId}".`,
      );
    }
    return { connectionString: formatDeviceConnectionString(parsed), ca: undefined };
  }
  const target = context.target();
  const found = await withRest(context, (client) => readDevice(client, deviceId));
  return { connectionString: connectionStringFor(target, found), ca: target.ca };
}

export function addMessageCommands(program: Command): void {
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
    .option("--device-connection-string <string>", "connect with this instead of asking the hub")
    .addHelpText(
      "after",
      `\nExample:\n  $ hubwire send thermostat-1 '{"temperature":21.5}' -p alert=false`,
    )
    .action(async (deviceId: string, body: string, options: SendOptions, command: Command) => {
      const context = contextOf(command);
      const signal = interruptSignal();
      const { connectionString, ca } = await deviceConnection(
        context,
        deviceId,
        options.deviceConnectionString ?? process.env["IOTHUB_DEVICE_CONNECTION_STRING"],
      );
      const caText = command.optsWithGlobals<{ ca?: string }>().ca;
      const roots = ca ?? (caText === undefined ? undefined : readFileSync(caText, "utf8"));
      const { connect } = await import("@hubwire/device");
      await using client = await connect({
        connectionString,
        signal,
        failFast: true,
        ...(roots === undefined ? {} : { ca: roots }),
      });
      const message = {
        qos: options.qos === "0" ? (0 as const) : (1 as const),
        properties: options.property,
        signal,
        ...(options.contentType === undefined ? {} : { contentType: options.contentType }),
        ...(options.contentEncoding === undefined
          ? {}
          : { contentEncoding: options.contentEncoding }),
        ...(options.messageId === undefined ? {} : { messageId: options.messageId }),
      };
      const startedMs = performance.now();
      // Well above the in-flight window, well below the queue: the client is kept busy, memory stays small.
      const burst = 500;
      for (let sent = 0; sent < options.count; sent += burst) {
        const size = Math.min(burst, options.count - sent);
        await Promise.all(Array.from({ length: size }, () => client.sendTelemetry(body, message)));
      }
      const ms = Math.round(performance.now() - startedMs);
      context.output.line(
        options.count === 1 ? `Sent in ${ms} ms.` : `Sent ${options.count} messages in ${ms} ms.`,
        { sent: options.count, ms },
      );
    });

  const c2d = program.command("c2d").description("cloud-to-device messages");
  c2d
    .command("send <deviceId> <body>")
    .description("queue a cloud-to-device message")
    .option("-p, --property <name=value>", "application property, repeatable", collectProperty, {})
    .option("--message-id <id>", "message id")
    .option("--content-type <type>", "for example application/json")
    .option("--expires-in <seconds>", "time to live", wholeNumber(1, 172_800))
    .addHelpText("after", "\nExample:\n  $ hubwire c2d send thermostat-1 'open the window'")
    .action(
      async (
        deviceId: string,
        body: string,
        options: {
          property: Record<string, string>;
          messageId?: string;
          contentType?: string;
          expiresIn?: number;
        },
        command: Command,
      ) => {
        const context = contextOf(command);
        const sent = (await withRest(context, (client) =>
          client.call({
            method: "POST",
            path: `/hubwire/devices/${encodeURIComponent(deviceId)}/messages`,
            body: {
              body,
              properties: options.property,
              ...(options.messageId === undefined ? {} : { messageId: options.messageId }),
              ...(options.contentType === undefined ? {} : { contentType: options.contentType }),
              ...(options.expiresIn === undefined
                ? {}
                : {
                    expiryTimeUtc: new Date(Date.now() + options.expiresIn * 1000).toISOString(),
                  }),
            },
          }),
        )) as { messageId: string };
        context.output.line(`Queued for ${deviceId} as message ${sent.messageId}.`, sent);
      },
    );

  program
    .command("monitor")
    .description("print telemetry as it arrives, until Ctrl-C")
    .option("-d, --device <deviceId>", "only this device")
    .addOption(
      new Option("--from <start>", "where to begin").choices(["first", "end"]).default("end"),
    )
    .option("-n, --count <n>", "stop after that many", wholeNumber(1, 1_000_000_000))
    .option("--no-follow", "stop at the newest instead of waiting for more")
    .addHelpText("after", "\nExample:\n  $ hubwire monitor --from first --device thermostat-1")
    .action(
      async (
        options: { device?: string; from: string; count?: number; follow: boolean },
        command: Command,
      ) => {
        const context = contextOf(command);
        const signal = interruptSignal();
        if (options.follow) context.output.note("Waiting for telemetry. Ctrl-C ends.");
        let shown = 0;
        await withRest(context, async (client) => {
          const events = client.lines({
            method: "GET",
            path: "/hubwire/events",
            query: { from: options.from, follow: String(options.follow) },
            signal,
          });
          for await (const event of events) {
            if (options.device !== undefined && event["deviceId"] !== options.device) continue;
            context.output.line(describeEvent(event), event);
            shown += 1;
            if (shown === options.count) break;
          }
        });
      },
    );
}

function describeEvent(event: Record<string, unknown>): string {
  const body =
    event["body"] === undefined
      ? `(base64) ${String(event["bodyBase64"])}`
      : typeof event["body"] === "string"
        ? event["body"]
        : JSON.stringify(event["body"]);
  const properties = Object.entries((event["properties"] ?? {}) as Record<string, string>)
    .map(([name, value]) => ` ${name}=${value}`)
    .join("");
  return `${String(event["enqueuedTimeUtc"])} ${String(event["deviceId"])}${properties} ${body}`;
}
